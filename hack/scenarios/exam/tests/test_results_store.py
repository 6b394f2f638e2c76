from pathlib import Path

from hack.scenarios.exam.evaluation import evaluate_runs
from hack.scenarios.exam.faults import select_faults
from hack.scenarios.exam.results_store import ResultsStore, hash_sources
from hack.scenarios.exam.tests.builders import HEALED_RUN, UNHEALED_RUN
from hack.testkit.kube_client import ROOT

(FAULT,) = select_faults(["1-spec"])
RESULT = evaluate_runs(FAULT, (UNHEALED_RUN, HEALED_RUN), attempt=2, seconds=12.5)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path, "abc", 0.2)

    store.save(RESULT)

    assert RESULT == store.load(FAULT)
    assert 2 == store.count_attempts(FAULT)


def test_a_result_counts_only_for_its_source_and_its_scale(tmp_path: Path) -> None:
    ResultsStore(tmp_path, "abc", 0.2).save(RESULT)

    for other in (ResultsStore(tmp_path, "def", 0.2), ResultsStore(tmp_path, "abc", 1.0)):
        assert other.load(FAULT) is None
        assert 0 == other.count_attempts(FAULT)


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path, "abc", 0.2)
    (tmp_path / f"{FAULT.name}.json").write_text("{}")

    assert store.load(FAULT) is None


def test_results_can_be_forgotten(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path, "abc", 0.2)
    store.save(RESULT)

    store.forget()

    assert store.load(FAULT) is None


def test_the_hash_is_of_what_decides(tmp_path: Path) -> None:
    file = tmp_path / "operator" / "selfhealing" / "a.py"
    file.parent.mkdir(parents=True)
    file.write_text("a = 1")
    before = hash_sources(tmp_path)
    (file.parent / "notes.md").write_text("x")
    assert before == hash_sources(tmp_path)

    file.write_text("a = 2")

    assert before != hash_sources(tmp_path)
    assert hash_sources(ROOT) == hash_sources(ROOT)
