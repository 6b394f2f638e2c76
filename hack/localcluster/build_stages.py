"""Build stages, cached by a hash of their inputs.

The result of a stage is the folder ``artefacts/NAME-HASH``; a changed input has another folder. A
result is built in a temporary folder and renamed when it is complete, so an interrupted build
leaves no partial result.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from hack.localcluster.locks import hold_lock
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter

Inputs: TypeAlias = Mapping[str, str | bytes]
"""What a stage depends on: label -> content."""

_KEPT_RESULTS: Final = 2
"""Results of the same stage kept: the one in use, and the one before for a way back."""

_ABANDONED_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class BuildStage:
    """One cached step: its name, what it depends on, and how to make it in an empty folder."""

    name: str
    inputs: Inputs
    build: Callable[[Path], None] = field(compare=False)

    @property
    def key(self) -> str:
        """Sixteen hex digits that stand for the inputs."""
        return hash_stage(self.name, self.inputs)


def hash_stage(name: str, inputs: Inputs) -> str:
    """Hash a stage's inputs; lengths are hashed too, so that no two sets run together."""
    total = hashlib.sha256()
    for part in (name, *(piece for label in sorted(inputs) for piece in (label, inputs[label]))):
        content = part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "big"))
        total.update(content)
    return total.hexdigest()[:16]


def read_tree_inputs(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """Return every file below a folder as stage inputs."""
    return {
        f"{prefix}{path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def result_path(paths: Paths, stage: BuildStage) -> Path:
    """Return where the stage's result is or will be."""
    return paths.artefacts / f"{stage.name}-{stage.key}"


def ensure_built(paths: Paths, stage: BuildStage, reporter: ProgressReporter) -> Path:
    """Return the stage's result, building it if no clone has done so before."""
    result = result_path(paths, stage)
    if not result.is_dir():
        with (
            hold_lock(
                paths.cache / "locks" / result.name, seconds=3600, resource=f"building {stage.name}"
            ),
            reporter.show_stage(stage.name),
        ):
            if not result.is_dir():
                _build_stage(stage, result)
                _remove_older(result, stage.name)
    os.utime(result)
    return result


def _build_stage(stage: BuildStage, result: Path) -> None:
    partial = result.with_name(f".{result.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    stage.build(partial)
    partial.rename(result)


def _remove_older(result: Path, name: str) -> None:
    """Remove all but the newest results of a stage, and what interrupted builds left long ago."""
    for partial in result.parent.glob(f".{name}-*.partial"):
        if time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
    results = [
        path
        for path in result.parent.glob(f"{name}-*")
        if path.name.removeprefix(f"{name}-").isalnum()
    ]
    for old in sorted(results, key=lambda path: path.stat().st_mtime)[:-_KEPT_RESULTS]:
        shutil.rmtree(old, ignore_errors=True)
