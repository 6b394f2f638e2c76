"""What came of the faults: results, a sample, a table. Pure."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Self

from hack.testkit.fault_points import Fault, FaultKind
from hack.testkit.kube_client import Json

TABLE_HEADER = (
    "| story | " + " | ".join(FaultKind) + " | not reached |",
    "|---|" + "---:|" * (len(FaultKind) + 1),
)
"""Of the table that ``build_table`` returns the rows of."""

GROUP_SIZE = 4
"""The most events that are lost in one telling."""

SEPARATOR = "; "
"""Stands between the faults of one telling."""


@dataclass(frozen=True)
class Result:
    """What came of a story with a fault.

    Attributes:
        fault: the fault; several, joined by SEPARATOR, that make a difference only together.
        seconds: its share of the telling, by the name of each stage.
        is_reached: whether the point came at all; what is written how often differs a little.
        differences: from the reference; empty when all is well.
    """

    story: str
    fault: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    is_reached: bool = True
    differences: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return the result as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**value | {"differences": tuple(value["differences"])})


def sample_faults(faults: Sequence[Fault], seed: str) -> list[Fault]:
    """Choose one fault of each kind, always the same for the same seed."""
    chooser = random.Random(seed)  # noqa: S311 - a sample
    by_kind = [[fault for fault in faults if fault.kind is kind] for kind in FaultKind]
    return [chooser.choice(of_kind) for of_kind in by_kind if of_kind]


def group_faults(faults: Sequence[Fault]) -> list[tuple[Fault, ...]]:
    """Group the faults that one telling can have: events of different resources that are lost.

    A lost event may let the client list again, which renumbers the later events of its resource
    alone. A kill and a freeze concern all resources, and have a telling of their own.
    """
    alone = [(fault,) for fault in faults if fault.kind is not FaultKind.SWALLOW]
    by_resource: dict[str, list[Fault]] = {}
    for fault in faults:
        if fault.kind is FaultKind.SWALLOW:
            by_resource.setdefault(fault.point.resource, []).append(fault)
    together = []
    while largest := sorted(filter(None, by_resource.values()), key=len, reverse=True):
        together.append(tuple(each.pop() for each in largest[:GROUP_SIZE]))
    return [*alone, *together]


def build_table(planned: Mapping[str, Sequence[Fault]], results: Iterable[Result]) -> list[str]:
    """Return the rows of a Markdown table: ``equal/told`` of ``planned`` for each kind of fault.

    A result whose fault is not planned is left out: another version of the story had it.
    """
    told = list(results)
    return [_build_row(story, faults, told) for story, faults in planned.items()]


def select_planned(
    planned: Mapping[str, Sequence[Fault]], results: Iterable[Result]
) -> list[Result]:
    """Select the results of the faults that are planned."""
    names = {(story, str(fault)) for story, faults in planned.items() for fault in faults}
    return [result for result in results if (result.story, result.fault) in names]


def _build_row(story: str, faults: Sequence[Fault], told: Sequence[Result]) -> str:
    own = select_planned({story: faults}, told)
    kind_of = {str(fault): fault.kind for fault in faults}
    all_told = Counter(kind_of[result.fault] for result in own)
    equal = Counter(kind_of[result.fault] for result in own if not result.differences)
    count = Counter(fault.kind for fault in faults)
    cells = [
        f"{equal[kind]}/{all_told[kind]} of {count[kind]}" if count[kind] else "-"
        for kind in FaultKind
    ]
    missed = sum(not result.is_reached for result in own)
    return "| " + " | ".join([f"`{story}`", *cells, str(missed)]) + " |"


def describe_failure(result: Result) -> str:
    """Return what is different, and how to tell the story again."""
    lines = "\n".join(f"    {line}" for line in result.differences)
    again = f'make sieve STORY={result.story} FAULT="{result.fault}"'
    return f"{result.story}: {result.fault}; again: {again}\n{lines}"


def describe_seconds(results: Iterable[Result]) -> list[str]:
    """Return for each story how long a fault takes: the mean of its share of each stage."""
    by_story: dict[str, list[Mapping[str, float]]] = {}
    for result in results:
        by_story.setdefault(result.story, []).append(result.seconds)
    return [
        f"{story}: {fmean(sum(each.values()) for each in own):.1f} s a fault; " + _list_means(own)
        for story, own in by_story.items()
    ]


def _list_means(seconds: Sequence[Mapping[str, float]]) -> str:
    stages = dict.fromkeys(stage for each in seconds for stage in each)
    return ", ".join(
        f"{stage} {fmean(each.get(stage, 0.0) for each in seconds):.1f}" for stage in stages
    )
