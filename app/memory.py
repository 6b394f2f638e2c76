"""How much memory the process uses, and how much its container may.

The kernel tells both. The limit stands at another place in either version of control groups; a
container sees its own group at the root of them.
"""

import os
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")
"""Version 2 and version 1."""

_NO_LIMIT: Final = 2**60
"""Version 1 says "none" with a number near the largest there is."""


def read_used() -> int:
    """Bytes of memory that the process has; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def read_limit(groups: Path = _GROUPS) -> int | None:
    """Bytes that the container may use; None where nothing limits it or nobody says."""
    for name in _LIMITS:
        try:
            number = int((groups / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # not there, or "max"
            continue
        return number if number < _NO_LIMIT else None
    return None
