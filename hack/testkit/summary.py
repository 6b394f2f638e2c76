"""Prints what runs have recorded: each layer's tests and time, the slowest tests, what failed.

Usage: python -m hack.testkit.summary RECORD.json...
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SLOWEST_TESTS = 5
SLOWEST_UNITS = 12
OUTCOMES = ("passed", "failed", "skipped", "xfailed")

Record = Mapping[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Print the summary of the records; those that were not written are left out."""
    for line in format_summary(read_records(map(Path, arguments))):
        print(line)
    return 0


def read_records(paths: Iterable[Path]) -> list[Record]:
    """Read the records that have been written."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def format_summary(records: Sequence[Record]) -> list[str]:
    """Format the layers as a table, then the slowest tests and units, reruns and failures.

    A layer's time is from its first test's beginning to its last one's end, without the stages in
    which none of it ran; the sum is what its tests would take one after the other.
    """
    layers: dict[str, dict[str, Any]] = defaultdict(dict)
    walls: Counter[str] = Counter()
    for record in records:
        found: dict[str, list[Any]] = defaultdict(list)
        for nodeid, test in record["tests"].items():
            layer = _get_layer(nodeid)
            layers[layer][nodeid] = test
            found[layer].append(test)
        for layer, tests in found.items():
            walls[layer] += round(
                max(test["ended"] for test in tests) - min(test["started"] for test in tests)
            )
    lines = ["", f"{'layer':<13}{'tests':>6}  {'time':>6} {'sum':>7}  outcomes"]
    for layer, by_id in sorted(layers.items()):
        outcomes = Counter(test["outcome"] for test in by_id.values())
        shown = ", ".join(f"{outcomes[name]} {name}" for name in OUTCOMES if outcomes[name])
        total = sum(test["seconds"] for test in by_id.values())
        lines.append(
            f"{layer:<13}{len(by_id):>6}  {_clock(walls[layer]):>6} {_clock(total):>7}  {shown}"
        )
    for layer, by_id in sorted(layers.items()):
        lines += ["", f"slowest of {layer}:"]
        lines += [
            f"  {test['seconds']:6.1f} s  {nodeid}"
            for nodeid, test in _take_slowest(by_id, SLOWEST_TESTS)
        ]
    lines += _format_units(layers)
    for title, key in (("rerun", "reruns"), ("failed", "failed")):
        named = [
            nodeid
            for by_id in layers.values()
            for nodeid, test in by_id.items()
            if test.get(key) or test["outcome"] == key
        ]
        lines += ["", f"{title}:", *(f"  {nodeid}" for nodeid in named)] if named else []
    return lines


def _format_units(layers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What tests/groups.py needs: the seconds of the longest units of the cluster's layers."""
    units: Counter[str] = Counter()
    for layer, by_id in layers.items():
        if layer in ("integration", "e2e"):
            for test in by_id.values():
                units[test["unit"]] += test["seconds"]
    if not units:
        return []
    longest = [f"{unit} {seconds:.0f} s" for unit, seconds in units.most_common(SLOWEST_UNITS)]
    return ["", "longest units: " + ", ".join(longest)]


def _take_slowest(tests: Mapping[str, Any], count: int) -> list[tuple[str, Any]]:
    return sorted(tests.items(), key=lambda item: -item[1]["seconds"])[:count]


def _get_layer(nodeid: str) -> str:
    parts = nodeid.split("/")
    return parts[1] if parts[0] == "tests" and len(parts) > 2 else parts[0]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
