"""The table of many worlds, and the targets that they have to reach."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any, Final

from hack.worlds.fault_table import ALL_FAULTS
from hack.worlds.oracle import FaultScore, Verdict

MAX_SEEDS: Final = 12
"""Numbers of worlds that a table names for each kind of failure."""

MIN_RIGHT_OR_UNKNOWN: Final = 0.99
MAX_WRONG: Final = 0.001
MIN_HEALED: Final = 0.9

_BEST: Final = {fault.name: round(fault.best) for fault in ALL_FAULTS}

Summary = dict[str, Any]


def summarize(verdicts: Iterable[Verdict], seconds: float) -> Summary:
    """Count what came of the worlds."""
    verdicts = list(verdicts)
    by_fault: dict[str, list[FaultScore]] = defaultdict(list)
    for verdict in verdicts:
        for score in verdict.scores:
            by_fault[score.name].append(score)
    scores = [score for verdict in verdicts for score in verdict.scores]
    attributed = [s for s in scores if s.attribution != "none"]
    healable = [s for s in scores if s.healed is not None]
    return {
        "worlds": len(verdicts),
        "seconds": round(seconds, 1),
        "harmful": sum(bool(v.harm) for v in verdicts),
        "locked": sum(bool(v.locks) for v in verdicts),
        "right": _share(s.attribution == "right" for s in attributed),
        "unknown": _share(s.attribution == "unknown" for s in attributed),
        "wrong": _share(s.attribution == "wrong" for s in attributed),
        "healed": _share(bool(s.healed) for s in healable),
        "actions": sum(v.actions for v in verdicts),
        "unjustified": sum(v.unjustified for v in verdicts),
        "faults": [
            _summarize_fault(fault.name, by_fault[fault.name])
            for fault in ALL_FAULTS
            if by_fault[fault.name]
        ],
        "kinds": _kinds(verdicts),
        "wrong_seeds": [
            v.seed for v in verdicts if any(s.attribution == "wrong" for s in v.scores)
        ][:MAX_SEEDS],
    }


def _share(values: Iterable[bool]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 1.0


def _summarize_fault(name: str, scores: list[FaultScore]) -> Summary:
    healable = [s for s in scores if s.healed is not None]
    times = [s.seconds for s in healable if s.seconds is not None]
    counts = {
        kind: sum(s.attribution == kind for s in scores)
        for kind in ("right", "wrong", "unknown", "none")
    }
    return {
        "name": name,
        "worlds": len(scores),
        **counts,
        "healable": len(healable),
        "healed": sum(bool(s.healed) for s in healable),
        "median_seconds": round(median(times)) if times else None,
        "best_seconds": _BEST[name] if healable else None,
        "actions": round(sum(s.actions for s in scores) / len(scores), 2),
        "examples": sorted({s.wrong for s in scores if s.wrong})[:3],
    }


def _kinds(verdicts: list[Verdict]) -> dict[str, list[int]]:
    """The kinds of failures, each with the numbers of the worlds."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for verdict in verdicts:
        for text in (*verdict.harm, *(f"lock: {lock}" for lock in verdict.locks)):
            kind = text.split(":")[0] if not text.startswith("lock") else text
            if text.startswith("vain touch") and " by " in text:
                kind += " by " + text.split(" by ")[-1]
            if not kinds[kind] or kinds[kind][-1] != verdict.seed:
                kinds[kind].append(verdict.seed)
    return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))


def meets_targets(summary: Summary) -> bool:
    """Whether the operator may be let loose."""
    return bool(
        not summary["harmful"]
        and not summary["locked"]
        and summary["right"] + summary["unknown"] >= MIN_RIGHT_OR_UNKNOWN
        and summary["wrong"] <= MAX_WRONG
        and summary["healed"] >= MIN_HEALED
    )


def to_markdown(summary: Summary) -> str:
    """Return the tables."""
    lines = [
        f"| {summary['worlds']} worlds | | target |",
        "|---|--:|--:|",
        f"| harmful | {summary['harmful']} | 0 |",
        f"| locked at the end | {summary['locked']} | 0 |",
        f"| cause right | {summary['right']:.1%} | |",
        f"| cause unknown | {summary['unknown']:.1%} | |",
        f"| cause wrong | {summary['wrong']:.2%} | {MAX_WRONG:.1%} |",
        f"| healed of what can be healed | {summary['healed']:.1%} | {MIN_HEALED:.0%} |",
        f"| actions | {summary['actions']} | |",
        f"| of them without a reason | {summary['unjustified']} | |",
        "",
        "| fault | worlds | right | unknown | wrong | healed | median s | best s | actions |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in summary["faults"]:
        healed = f"{row['healed']}/{row['healable']}" if row["healable"] else "-"
        seconds = row["median_seconds"] if row["median_seconds"] is not None else "-"
        lines.append(
            f"| {row['name']} | {row['worlds']} | {row['right']} | {row['unknown']} | "
            f"{row['wrong']} | {healed} | {seconds} | {row['best_seconds'] or '-'} | "
            f"{row['actions']} |"
        )
    if summary["kinds"]:
        lines += ["", "| failure | worlds | numbers |", "|---|--:|---|"]
        lines += [
            f"| {kind} | {len(seeds)} | {', '.join(map(str, seeds[:MAX_SEEDS]))} |"
            for kind, seeds in summary["kinds"].items()
        ]
    return "\n".join(lines) + "\n"
