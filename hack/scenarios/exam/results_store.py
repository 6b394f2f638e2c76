"""The results of rows as files, so that an exam that was interrupted goes on where it ended.

A result counts only for the source with which it was made: the operator's and the exam's.
"""

import hashlib
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from hack.scenarios.exam.evaluation import FaultResult, evaluate_runs
from hack.scenarios.exam.fault import Fault
from hack.scenarios.exam.metrics import FaultRun

_SOURCES: Final = ("operator/selfhealing", "hack/scenarios/exam", "app")


@dataclass(frozen=True, slots=True)
class _StoredResult:
    """The file of a row."""

    source: str
    scale: float
    attempt: int
    seconds: float
    runs: tuple[FaultRun, ...]


_FILE = TypeAdapter(_StoredResult)


class ResultsStore:
    """The results in a folder, of one source and one scale of healing's times."""

    def __init__(self, folder: Path, source: str, scale: float) -> None:
        self._folder = folder
        self._source = source
        self._scale = scale

    def load(self, fault: Fault) -> FaultResult | None:
        """Return the result of a row, evaluated as the table is now; None without one."""
        stored = self._read(fault)
        if stored is None:
            return None
        return evaluate_runs(fault, stored.runs, attempt=stored.attempt, seconds=stored.seconds)

    def save(self, result: FaultResult) -> None:
        """Write the result of a row that was run."""
        stored = _StoredResult(
            self._source, self._scale, result.attempt, result.seconds, result.runs
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(result.fault)
        partial = file.with_suffix(".partial")
        partial.write_bytes(_FILE.dump_json(stored))
        partial.replace(file)

    def count_attempts(self, fault: Fault) -> int:
        """Return how often the row was run with this source."""
        stored = self._read(fault)
        return stored.attempt if stored is not None else 0

    def forget(self) -> None:
        """Delete all results."""
        for file in self._folder.glob("*.json"):
            file.unlink()

    def _read(self, fault: Fault) -> _StoredResult | None:
        try:
            stored = _FILE.validate_json(self._file(fault).read_bytes())
        except (OSError, ValidationError):  # none yet, or one of another version of the exam
            return None
        return stored if (stored.source, stored.scale) == (self._source, self._scale) else None

    def _file(self, fault: Fault) -> Path:
        return self._folder / f"{fault.name}.json"


def hash_sources(root: Path) -> str:
    """Return a hash of all that decides how a row goes."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for file in sorted((root / folder).rglob("*.py")):
            if "tests" not in file.parts:
                digest.update(f"{file.relative_to(root)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
