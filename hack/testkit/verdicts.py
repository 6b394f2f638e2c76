"""What other tools say of an object: kstatus, Flux, and the scripts of Argo CD.

The program ``hack/localcluster/go/verdicts`` answers, with the libraries that these tools use.
"""

import json
from collections.abc import Iterable
from typing import Any

from hack.localcluster.subprocesses import run_checked
from hack.testkit.go_programs import build_program
from hack.testkit.kube_client import Json


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
    program = build_program("verdicts", quiet=True)
    answers = json.loads(run_checked([str(program)], stdin=json.dumps(questions)))
    for answer in answers:
        if "error" in answer:
            raise ValueError(answer["error"])
    return [answer.get("result") for answer in answers]
