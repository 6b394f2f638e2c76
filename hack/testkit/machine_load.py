"""How busy the machine is: a test that fails on a starved one has another cause than its code."""

import os
from pathlib import Path

PRESSURE = Path("/proc/pressure")
STAT = Path("/proc/stat")


def report() -> str:
    """Say in a line what the machine had to give, as far as its kernel tells (Linux)."""
    said = [f"{os.cpu_count()} CPUs"]
    if STAT.exists():
        # proc(5): user nice system idle iowait irq softirq steal, since the boot.
        ticks = [int(word) for word in STAT.read_text().splitlines()[0].split()[1:9]]
        shares = [f"{part / max(1, sum(ticks)):.0%}" for part in (ticks[3], ticks[4], ticks[7])]
        said.append("since the boot idle {}, iowait {}, stolen {}".format(*shares))
    for name in ("cpu", "io", "memory"):
        try:
            said.append(f"{name} pressure {(PRESSURE / name).read_text().splitlines()[0]}")
        except OSError:
            continue
    return f"machine: load {' '.join(f'{one:.1f}' for one in os.getloadavg())}; {'; '.join(said)}"
