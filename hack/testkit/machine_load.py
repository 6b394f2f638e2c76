"""The load of the machine, which explains failures of tests on a starved machine."""

import os
from pathlib import Path

PRESSURE_FOLDER = Path("/proc/pressure")
STAT_FILE = Path("/proc/stat")


def describe_machine() -> str:
    """Return load, idle and steal shares and pressure in one line (Linux)."""
    parts = [f"{os.cpu_count()} CPUs"]
    if STAT_FILE.exists():
        # proc(5): user nice system idle iowait irq softirq steal, since the boot.
        ticks = [int(word) for word in STAT_FILE.read_text().splitlines()[0].split()[1:9]]
        shares = [f"{part / max(1, sum(ticks)):.0%}" for part in (ticks[3], ticks[4], ticks[7])]
        parts.append("since the boot idle {}, iowait {}, stolen {}".format(*shares))
    for name in ("cpu", "io", "memory"):
        try:
            parts.append(f"{name} pressure {(PRESSURE_FOLDER / name).read_text().splitlines()[0]}")
        except OSError:
            continue
    return f"machine: load {' '.join(f'{one:.1f}' for one in os.getloadavg())}; {'; '.join(parts)}"
