"""CPU seconds and memory of processes and of the machine, read from /proc."""

import os
import platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Memory of a process in bytes."""

    rss: int
    pss: int
    peak: int


def read_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def read_memory(pid: int) -> Memory:
    """Return the memory of a process."""
    status = _read_kib_values(Path(f"/proc/{pid}/status"))
    rollup = _read_kib_values(Path(f"/proc/{pid}/smaps_rollup"))
    return Memory(status["VmRSS"] * KIB, rollup["Pss"] * KIB, status["VmHWM"] * KIB)


def _read_kib_values(file: Path) -> dict[str, int]:
    values = {}
    for line in file.read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            values[name] = int(words[0])
    return values


def read_cpu_by_command() -> Counter[str]:
    """Return the CPU seconds of all running processes, by the command's name."""
    found: Counter[str] = Counter()
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = file.read_text()
        except OSError:  # it has ended
            continue
        fields = text.rpartition(")")[2].split()
        name = text.partition("(")[2].rpartition(")")[0]
        found[name] += (int(fields[11]) + int(fields[12])) / TICKS  # type: ignore[assignment]
    return found


def read_busy_seconds() -> tuple[float, float]:
    """Return the busy seconds and all seconds of all cores since the machine started."""
    fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICKS, sum(fields) / TICKS


def describe_machine() -> dict[str, object]:
    """Describe the machine for a report, without anything that identifies its owner."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    total = _read_kib_values(Path("/proc/meminfo"))["MemTotal"] * KIB
    return {
        "cpu": ", ".join(sorted(models)) or platform.machine(),
        "cores": os.cpu_count(),
        "memoryBytes": total,
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }
