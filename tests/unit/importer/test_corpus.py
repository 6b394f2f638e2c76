"""The shapes of public Deployments: nothing is lost, and nearly all are said whole."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hack.testkit.yaml_text import parse_yaml
from selfhealing.importer.object_text import read_objects
from selfhealing.importer.run import Difference, ImportResult, import_app
from tests.unit.importer.leaves import find_lost

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
CORPUS = Path(__file__).parent / "corpus"
FILES = {path.stem: read_objects(path.read_text(), path.name) for path in CORPUS.glob("*.yaml")}
DEPLOYMENTS = [
    (file, each["metadata"]["name"])
    for file, objects in FILES.items()
    for each in objects
    if each["kind"] == "Deployment"
]
MIN_DEPLOYMENTS = 60
MIN_DEPLOYMENT_SHARE = 0.98
"""Of Deployments of which each field is said."""
MIN_SHARE = 0.85
"""Of Deployments that are said whole, with their Services and PodDisruptionBudgets."""


@cache
def import_once(file: str, name: str) -> ImportResult:
    return import_app(FILES[file], name)


def list_gaps(result: ImportResult) -> list[Difference]:
    return [each for each in (*result.differences, *result.unsaid) if not each.is_replaced]


def is_in_deployment(difference: Difference) -> bool:
    """Fields of the spec that the resource refuses count as the Deployment's."""
    return difference.path.startswith(("Deployment", "spec"))


@pytest.fixture(scope="module")
def crd_schema() -> jsonschema.Draft202012Validator:
    """The schema of the spec in the CRD, without what only Kubernetes knows."""
    crd = parse_yaml((ROOT / "crd" / "selfhealingapp.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return jsonschema.Draft202012Validator(close(schema))


def close(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Refuse fields that a schema does not have, as `kubectl apply` does."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: close(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        result["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):  # bounds of numbers and of strings alike
        result.pop("type", None)
    return result


@pytest.mark.parametrize(("file", "name"), DEPLOYMENTS)
def test_nothing_is_lost(file: str, name: str) -> None:
    assert [] == find_lost(FILES[file], import_once(file, name), name)


@pytest.mark.parametrize(("file", "name"), DEPLOYMENTS)
def test_the_app_fits_into_the_crd(
    file: str, name: str, crd_schema: jsonschema.Draft202012Validator
) -> None:
    assert [] == [
        error.message for error in crd_schema.iter_errors(import_once(file, name).app["spec"])
    ]


def test_the_share_that_is_said_whole() -> None:
    """What is not said is printed with its reason."""
    gaps = {f"{file}/{name}": list_gaps(import_once(file, name)) for file, name in DEPLOYMENTS}
    whole = [name for name, found in gaps.items() if not found]
    print(f"{len(whole)} of {len(gaps)} Deployments are said whole")  # noqa: T201
    for name, found in sorted(gaps.items()):
        for each in found:
            print(f"{name}: {each.path}: {each.given} -> {each.rendered} ({each.reason})")  # noqa: T201

    assert len(DEPLOYMENTS) >= MIN_DEPLOYMENTS
    assert len(whole) / len(DEPLOYMENTS) >= MIN_SHARE
    without_gap = [name for name, found in gaps.items() if not any(map(is_in_deployment, found))]
    assert len(without_gap) / len(DEPLOYMENTS) >= MIN_DEPLOYMENT_SHARE


def test_the_figures_of_the_page_are_those_of_the_corpus() -> None:
    gaps = [list_gaps(import_once(file, name)) for file, name in DEPLOYMENTS]
    deployments = sum(not any(map(is_in_deployment, found)) for found in gaps)
    whole = sum(not found for found in gaps)

    shares = [f"{count} ({count / len(gaps):.1%})" for count in (deployments, whole)]
    row = f"| {len(gaps)} | {shares[0]} | {shares[1]} |"

    for page in ("docs/import.md", "docs/zh/import.md"):
        assert row in (ROOT / page).read_text(encoding="utf-8")
