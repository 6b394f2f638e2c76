"""The operator in simulated worlds that know the truth: no harm, no lock, and most is healed."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from hack.worlds.oracle import FaultScore, Verdict
from hack.worlds.report import MAX_WRONG, MIN_HEALED, summarize
from hack.worlds.runner import judge_world
from hack.worlds.story import tell_world
from tests.unit.examples import scale_examples

MANY = 500
"""Worlds from which a share says something."""
WORLDS = scale_examples(MANY)
PARTS = 20
"""The worlds are judged in this many tests, so that several processes share them."""


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of this run put the verdicts of each part."""
    base = tmp_path_factory.getbasetemp()
    is_worker = base.name.startswith("popen-")  # of pytest-xdist, below the directory of the run
    folder = (base.parent if is_worker else base) / "worlds"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("part", range(PARTS))
def test_healing_harms_no_world_leaves_no_lock_and_heals(part: int, judged: Path) -> None:
    """The last part looks at all of them: which causes were wrong, and what was healed."""
    verdicts = [judge_world(seed) for seed in range(1 + part, WORLDS + 1, PARTS)]

    bad = [v for v in verdicts if v.harm or v.locks]
    assert not bad, _tell(bad)

    _write(judged / f"{part}.json", verdicts)
    parts = list(judged.glob("*.json"))
    if len(parts) == PARTS and WORLDS >= MANY:
        every = [verdict for path in parts for verdict in _read(path)]
        summary = summarize(every, 0.0)
        wrong = [v for v in every if any(s.attribution == "wrong" for s in v.scores)]
        assert summary["wrong"] <= MAX_WRONG, _tell(wrong)
        assert summary["healed"] >= MIN_HEALED, summary


HARMED = (1325, 1774, 1888, 2656, 2692, 2777, 2836, 3404, 4605, 4885, 5449, 5795, 6224, 7880, 8486)


@pytest.mark.parametrize("seed", HARMED)
def test_a_world_that_was_harmed(seed: int) -> None:
    """One of each kind."""
    verdict = judge_world(seed)

    assert (verdict.harm, verdict.locks) == ([], []), tell_world(seed)


def _tell(verdicts: list[Verdict]) -> str:
    """The numbers of worlds and what is wrong with them, and the story of the first."""
    lines = [
        f"world {v.seed}: {'; '.join((*v.harm, *v.locks, *(s.wrong for s in v.scores if s.wrong)))}"
        for v in verdicts
    ]
    return "\n".join((*lines, "", *(tell_world(v.seed) for v in verdicts[:1])))


def _write(path: Path, verdicts: Iterable[Verdict]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps([asdict(each) for each in verdicts]), encoding="utf-8")
    unfinished.rename(path)


def _read(path: Path) -> list[Verdict]:
    return [
        Verdict(**{**raw, "scores": [FaultScore(**score) for score in raw["scores"]]})
        for raw in json.loads(path.read_text(encoding="utf-8"))
    ]
