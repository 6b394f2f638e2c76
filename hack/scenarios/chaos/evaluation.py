"""Whether a drill went as expected, and how it went in words. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from hack.scenarios.chaos.faults import Expected, Fault
from hack.scenarios.chaos.metrics import Half


@dataclass(frozen=True, slots=True)
class Result:
    """A drill.

    Attributes:
        fault: what was broken.
        halves: without healing and with it; empty when it was left out.
        missed: what was not as expected, in sentences.
        lacked: what the cluster lacks for it; empty when it was played.
        wanted: whether it was asked for by name, so that leaving it out is a failure.
    """

    fault: Fault
    halves: tuple[Half, ...] = ()
    missed: tuple[str, ...] = ()
    lacked: str = ""
    wanted: bool = False

    @property
    def passed(self) -> bool:
        """Whether it went as expected, or was rightly left out."""
        return not (self.missed or (self.lacked and self.wanted))

    @property
    def word(self) -> str:
        """The result in a word or two."""
        if self.lacked and not self.wanted:
            return "left out"
        return "as expected" if self.passed else "FAILED"


def judged(fault: Fault, without: Half, healed: Half) -> Result:
    """Hold a drill against what was expected of it."""
    missed = (*_missed_without(without), *_missed_with(fault.expected, healed))
    return Result(fault, (without, healed), missed)


def said(half: Half) -> str:
    """How a half went, in one sentence."""
    if half.why:
        return half.why
    served = "served again after " if half.after is not None else ""
    done = ", ".join(map(str, half.acts)) or "nothing was done"
    requests = f"{half.failed} of {half.sent} requests failed"
    return f"{served}{half.served}; {requests}; {done}; ended as {half.ended}"


def _missed_without(half: Half) -> Iterator[str]:
    if half.why:
        yield f"without healing it could not be played: {half.why}"
        return
    if half.acts:
        yield f"healing is off, but there was {_listed(half)}"
    if half.after is not None:
        yield f"without healing it was served again after {half.served}: the fault proves nothing"


def _missed_with(expected: Expected, half: Half) -> Iterator[str]:
    if half.why:
        yield f"with healing it could not be played: {half.why}"
        return
    if expected.diagnosis not in half.diagnoses:
        found = ", ".join(half.diagnoses) or "nothing"
        yield f"{expected.diagnosis} was to be diagnosed, but it was {found}"
    if (half.after is not None) is not expected.served:
        wanted = f"again within {half.limit} s" if expected.served else "no more"
        yield f"it was to be served {wanted}, but that was {half.served}"
    yield from _missed_acts(expected, half)
    if half.phase != expected.phase:
        yield f"it was to end as {expected.phase}, but it is {half.ended}: {half.message}"


def _missed_acts(expected: Expected, half: Half) -> Iterator[str]:
    remedies = tuple(remedy for remedy, _ in groupby(half.taken, lambda act: act.remedy))
    if remedies != expected.remedies:
        wanted = ", ".join(expected.remedies) or "nothing"
        yield f"{wanted} was to be done, but it was {_listed(half)}"
    elif len(half.taken) > max(expected.most, len(expected.remedies)):
        yield f"{expected.most} action at the most was to be taken, but there was {_listed(half)}"
    elif half.taken and half.taken[-1].outcome != "Helped":
        yield f"the last action was to help, but it is {half.taken[-1]}"


def _listed(half: Half) -> str:
    return ", ".join(map(str, half.acts)) or "nothing"
