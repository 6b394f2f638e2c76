"""Records the order of states on a real cluster: `python -m hack.worlds.record` with a KUBECONFIG.

The result is what the simulator is compared with (`tests/unit/worlds/recorded_timelines.json`).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hack.worlds.model import Json
from hack.worlds.timelines import (
    CASES,
    Case,
    build_manifest,
    describe_deployment,
    describe_pod,
    summarize,
)

IMAGE: Final = "localhost/selfhealing-demo:dev"
NAMESPACE: Final = f"worlds-{os.getpid()}"
SECONDS: Final = 150.0
TARGET: Final = Path("tests/unit/worlds/recorded_timelines.json")


def _kubectl(*arguments: str, text: str = "") -> str:
    command = ["kubectl", "-n", NAMESPACE, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _name(case: Case) -> str:
    return case.name.lower().replace(" ", "-")


def _apply(cases: list[Case], *, is_changed: bool) -> None:
    items = [build_manifest(c, _name(c), IMAGE, is_changed=is_changed) for c in cases]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    _kubectl("apply", "--server-side", "-f", "-", text=document)


def _read_events(output: str) -> Iterator[Json]:
    decoder, position = json.JSONDecoder(), 0
    while position < len(output):
        while position < len(output) and output[position].isspace():
            position += 1
        if position == len(output):
            return
        try:
            value, position = decoder.raw_decode(output, position)
        except json.JSONDecodeError:
            return
        yield value


def record(seconds: float) -> Json:
    """Carry out all cases side by side; return their orders of states by name."""
    subprocess.run(["kubectl", "create", "namespace", NAMESPACE], check=True)
    labels = ["kubectl", "label", "namespace", NAMESPACE]
    subprocess.run([*labels, "pod-security.kubernetes.io/enforce=baseline"], check=True)
    logs = {kind: Path(f"/tmp/worlds-{kind}.json") for kind in ("pods", "deployments")}  # noqa: S108 - a log
    watches = []
    for kind, path in logs.items():
        command = ["kubectl", "-n", NAMESPACE, "get", kind, "-w", "-o", "json"]
        watches.append(subprocess.Popen([*command, "--output-watch-events"], stdout=path.open("w")))
    try:
        time.sleep(2)
        for case in CASES:  # one after the other: a busy kubelet leaves states out
            _apply([case], is_changed=False)
            time.sleep(4)
        time.sleep(seconds)
        _apply([case for case in CASES if case.change is not None], is_changed=True)
        time.sleep(seconds)
    finally:
        for watch in watches:
            watch.terminate()
        subprocess.run(["kubectl", "delete", "namespace", NAMESPACE, "--wait=false"], check=True)
    pods: dict[str, dict[str, list[str]]] = {_name(case): {} for case in CASES}
    deployments: dict[str, list[str]] = {_name(case): [] for case in CASES}
    for event in _read_events(logs["pods"].read_text(encoding="utf-8")):
        raw = event["object"]
        case = raw["metadata"]["labels"]["case"]
        if event["type"] != "DELETED":
            states = pods[case].setdefault(raw["metadata"]["name"], [])
            states.append(describe_pod(raw))
    for event in _read_events(logs["deployments"].read_text(encoding="utf-8")):
        raw = event["object"]
        deployments[raw["metadata"]["name"]].append(describe_deployment(raw))
    return {case.name: summarize(pods[_name(case)], deployments[_name(case)]) for case in CASES}


def main() -> int:
    """Record, and write what was recorded."""
    version = json.loads(_kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    source = f"recorded with python -m hack.worlds.record on a kind cluster, Kubernetes {version}"
    result = {"source": source, "timelines": record(SECONDS)}
    TARGET.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
