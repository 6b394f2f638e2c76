"""The commands in the documentation: what they name exists.

The pages of the lab are run on a cluster (tests/e2e/test_guide.py). Of all others, each command is
checked by its words: the kind of object, the fields of a SelfHealingApp, the files of the
repository, the values of the chart, and the modules. Targets of make and the plugin's commands are
checked in test_docs.py.
"""

import functools
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.testkit.yaml_text import parse_yaml

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?P<info>console|bash)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
FIELD = re.compile(r"\.(?P<path>(?:spec|status)(?:\.[a-zA-Z]+)*)")
SET_VALUE = re.compile(r"--set(?:-string)?[ =](?P<values>\S+)")
MODULE = re.compile(r"python -m (?P<module>selfhealing[\w.]*)")
REPOSITORY_FILE = re.compile(r"(?<![\w/.-])(?P<path>(?:examples|deploy|crd)/[\w./-]*\w)")

APPS = {"sha", "selfhealingapp", "selfhealingapps"}
RESOURCES = APPS | {
    *("all", "clusterrole", "clusterroles", "cm", "configmap", "configmaps", "controllerrevisions"),
    *("crd", "deploy", "deployment", "deployments", "endpointslice", "endpointslices", "events"),
    *("gateway", "hpa", "httproute", "ingress", "job", "jobs", "lease", "limitrange", "namespace"),
    *("networkpolicy", "node", "nodes", "ns", "pdb", "pod", "podmonitor", "pods", "pvc", "quota"),
    *("replicasets", "resourcequota", "rs", "secret", "secrets", "service", "serviceaccount"),
    *("services", "svc", "validatingadmissionpolicies", "validatingadmissionpolicy", "vpa"),
    *(
        "apiservices",
        "replicaset",
        "volumeattachments",
        "role",
        "rolebinding",
        "leases",
        "selfhealingapps.selfhealing.dev",
    ),
}
"""Kinds as the pages write them."""

WITH_RESOURCE = {"annotate", "delete", "describe", "get", "label", "patch", "scale", "wait"}
OTHER_VERBS = {
    *("apply", "auth", "config", "create", "drain", "events", "exec", "explain", "kustomize"),
    *("krew", "logs", "port-forward", "replace", "rollout", "run", "selfheal", "top", "uncordon"),
    *("cordon", "cp", "debug", "edit", "api-resources", "version", "set"),
}
OPTIONS_WITH_VALUE = {
    "--raw",
    "-n",
    "--namespace",
    "-l",
    "--context",
    "-f",
    "-o",
    "--for",
    "--timeout",
}

Json = dict[str, Any]


def list_pages() -> list[Path]:
    """Return the pages whose commands are not run; decisions tell of what was, at their time."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    left_out = {ROOT / "docs" / name for name in ("lab", "adr", "reference")}
    return sorted(page for page in pages if not left_out & set(page.parents))


def list_commands(page: Path) -> Iterator[str]:
    """Yield the commands of a page's blocks, each with the lines that continue it."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        lines = block["text"].replace("\\\n", " ").splitlines()
        for line in lines:
            if block["info"] == "bash":
                yield line
            elif line.startswith("$ "):
                yield line.removeprefix("$ ")


COMMANDS = [
    pytest.param(command, id=f"{page.relative_to(ROOT)}: {command[:50]}")
    for page in list_pages()
    for command in dict.fromkeys(list_commands(page))
]


@functools.cache
def read_schema() -> Json:
    """Return the schema of a SelfHealingApp."""
    crd = parse_yaml((ROOT / "crd/selfhealingapp.yaml").read_text(encoding="utf-8"))
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def find_schema(path: str) -> Json | None:
    """Return the schema of a field of a SelfHealingApp; None if there is none."""
    schema: Json | None = read_schema()
    for name in path.split("."):
        while schema is not None and "items" in schema:
            schema = schema["items"]
        if schema is None:
            return None
        extra = schema.get("additionalProperties")
        schema = schema.get("properties", {}).get(name, extra if isinstance(extra, dict) else None)
    return schema


def split_words(command: str) -> list[str]:
    """Return the words of the first command of a pipe, without options of kubectl itself."""
    words = shlex.split(command.split(" | ", maxsplit=1)[0], comments=True)
    found, rest = [], iter(words)
    for word in rest:
        if word in OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 200


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_names_exists(command: str) -> None:
    for file in REPOSITORY_FILE.finditer(command):
        is_deployment = command.startswith("kubectl ") and "." not in file["path"]
        assert is_deployment or (ROOT / file["path"]).exists(), file["path"]
    for module in MODULE.finditer(command):
        assert importlib.util.find_spec(module["module"]), module["module"]
    if command.startswith("helm "):
        check_chart_values(command)
    if command.startswith("kubectl "):
        check_kubectl(command)


def check_chart_values(command: str) -> None:
    """Check that each value that is set is one of the chart's."""
    values = parse_yaml((ROOT / "deploy/chart/values.yaml").read_text(encoding="utf-8"))
    for match in SET_VALUE.finditer(command):
        for setting in match["values"].split(","):
            found: Any = values
            for name in setting.split("=")[0].split("."):
                assert isinstance(found, dict), setting
                assert name in found, setting
                found = found[name]


def check_kubectl(command: str) -> None:
    """Check the verb, the kind and the fields of a SelfHealingApp."""
    _, verb, *words = split_words(command)
    assert verb in WITH_RESOURCE | OTHER_VERBS, verb
    if verb not in WITH_RESOURCE or not words:
        return
    kinds = {word.split("/")[0] for word in words[0].split(",")}
    assert kinds <= RESOURCES, kinds
    if kinds <= APPS:
        for field in FIELD.finditer(command):
            assert find_schema(field["path"]), field["path"]
