"""What came of the faults: results, a sample, a table. Pure."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from hack.testkit.fault_points import Fault, FaultKind
from hack.testkit.kube_client import Json

TABLE_HEADER = (
    "| story | writes | events | watches | " + " | ".join(FaultKind) + " | not reached |",
    "|---|---:|---:|---:|" + "---:|" * len(FaultKind) + "---:|",
)


@dataclass(frozen=True)
class Result:
    """What came of a story with a fault.

    Attributes:
        is_reached: whether the point came at all; what is written how often differs a little.
        differences: from the reference; empty when all is well.
    """

    story: str
    fault: str
    seconds: float
    is_reached: bool = True
    differences: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> Json:
        """Return the result as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**value)


def sample_faults(faults: Sequence[Fault], seed: str) -> list[Fault]:
    """Choose one fault of each kind, always the same for the same seed."""
    chooser = random.Random(seed)  # noqa: S311 - a sample
    by_kind = [[fault for fault in faults if fault.kind is kind] for kind in FaultKind]
    return [chooser.choice(of_kind) for of_kind in by_kind if of_kind]


def build_table(planned: Mapping[str, Sequence[Fault]], results: Iterable[Result]) -> list[str]:
    """Return the lines of a Markdown table: ``equal/told`` of ``planned`` for each kind of fault.

    A result whose fault is not planned is left out: another version of the story had it.
    """
    names = {story: {str(fault) for fault in faults} for story, faults in planned.items()}
    told = [r for r in results if r.fault in names.get(r.story, ())]
    return [*TABLE_HEADER, *(_build_row(story, planned[story], told) for story in planned)]


def _build_row(story: str, faults: Sequence[Fault], told: Iterable[Result]) -> str:
    own = [result for result in told if result.story == story]
    kind_of = {str(fault): fault.kind for fault in faults}
    all_told = Counter(kind_of[result.fault] for result in own)
    equal = Counter(kind_of[result.fault] for result in own if not result.differences)
    count = Counter(fault.kind for fault in faults)
    cells = [
        f"{equal[kind]}/{all_told[kind]} of {count[kind]}" if count[kind] else "-"
        for kind in FaultKind
    ]
    sizes = [count[FaultKind.KILL_BEFORE], count[FaultKind.SWALLOW], count[FaultKind.FREEZE]]
    missed = sum(not result.is_reached for result in own)
    return "| " + " | ".join([story, *map(str, sizes), *cells, str(missed)]) + " |"


def describe_failure(result: Result) -> str:
    """Return what is different, and how to tell the story again."""
    lines = "\n".join(f"    {line}" for line in result.differences)
    again = f'make sieve STORY={result.story} FAULT="{result.fault}"'
    return f"{result.story}: {result.fault} ({result.seconds:.0f} s); again: {again}\n{lines}"
