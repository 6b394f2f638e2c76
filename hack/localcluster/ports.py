"""Naming the program that has a port, so that a clash is one clear sentence."""

import contextlib
from pathlib import Path
from typing import Final

from hack.localcluster.errors import ClusterError

_LISTENING: Final = "0A"


def listening_inodes(table: str, port: int) -> set[str]:
    """Read from ``/proc/net/tcp`` the sockets that listen on a port."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _LISTENING:
            found.add(fields[9])
    return found


def find_listener(port: int) -> str | None:
    """Name the process that listens on a port, or None where the port is free."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            inodes |= listening_inodes(Path(table).read_text(), port)
    if not inodes:
        return None
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if _read_link(descriptor) in sockets:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return "a process of another user"


def _read_link(descriptor: Path) -> str:
    """Return what an open file is; it may be closed meanwhile."""
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def require_free_port(port: int, purpose: str) -> None:
    """Fail with the taker's name where a port is taken."""
    holder = find_listener(port)
    if holder is not None:
        raise ClusterError(
            f"port {port}, wanted for {purpose}, is taken by {holder}:"
            " stop it, or choose another with API_PORT=n (0: any free one)"
        )
