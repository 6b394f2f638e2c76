"""File locks between processes and clones, with a limit and the holder's name in the error.

The kernel frees a lock when its holder dies, however it dies, so a stale one cannot exist.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from hack.localcluster.errors import ClusterError

_NOTICE_AFTER = 3.0


@contextlib.contextmanager
def hold_lock(path: Path, *, seconds: float, resource: str) -> Iterator[None]:
    """Hold a lock, waiting for its holder at most so long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        started, has_printed = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                if time.monotonic() - started > _NOTICE_AFTER and not has_printed:
                    print(f"waiting for {holder} to finish with {resource}", flush=True)
                    has_printed = True
                if time.monotonic() - started > seconds:
                    raise ClusterError(
                        f"{resource} is busy: {holder} has held it for {seconds:.0f} s;"
                        " wait for it or stop it, then try again"
                    ) from None
                time.sleep(0.2)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
