"""What other tools say of an object: kstatus, Flux, and the scripts of Argo CD.

The program ``hack/localcluster/go/verdicts`` answers, with the libraries that these tools use.
``python -m hack.testkit.verdicts`` builds it, if it is not built yet.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hack.localcluster import build_stages, go_build
from hack.localcluster.paths import find_paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked

ROOT = Path(__file__).resolve().parents[2]

Json = dict[str, Any]


def build_verdicts(*, quiet: bool = False) -> Path:
    """Return the path of the program; it is built the first time."""
    paths = find_paths(ROOT, os.environ)
    reporter = ProgressReporter(paths.cache / "timings.json", quiet=quiet)
    stage = go_build.describe_module_stage(paths, reporter, "verdicts")
    return build_stages.ensure_built(paths, stage, reporter) / "verdicts"


def ask_kstatus(objects: Iterable[Json]) -> list[Json]:
    """Compute the kstatus of objects: ``status`` and ``message`` of each."""
    return _ask([{"tool": "kstatus", "object": each} for each in objects])


def ask_flux(check: Json, objects: Iterable[Json]) -> list[Json]:
    """Evaluate an entry of healthCheckExprs for objects: the ``status`` of each."""
    return _ask([{"tool": "flux", "check": check, "object": each} for each in objects])


def run_lua(script: str, objects: Iterable[Json]) -> list[Any]:
    """Run a script of Argo CD for objects: the table that it returns for each."""
    return _ask([{"tool": "lua", "script": script, "object": each} for each in objects])


def _ask(questions: list[Json]) -> list[Any]:
    """Return the answers.

    Raises:
        ValueError: a question has no answer; the message is the tool's.
    """
    program = build_verdicts(quiet=True)
    answers = json.loads(run_checked([str(program)], stdin=json.dumps(questions)))
    for answer in answers:
        if "error" in answer:
            raise ValueError(answer["error"])
    return [answer.get("result") for answer in answers]


if __name__ == "__main__":
    build_verdicts()
