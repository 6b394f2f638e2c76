"""What the CRD refuses, with the words that a user needs, and the twin that it accepts.

The table is in `invalid/`: a wrong spec over a small valid one, a fragment of the refusal, and the
right spec that the message leads to; in some also the spec before, which is changed to them.
Everything is asked of the API server itself, as strictly as kubectl asks.
"""

from pathlib import Path
from typing import Any

import pytest
import requests

from hack.testkit.fixtures import build_app
from hack.testkit.kube_client import KubeClient
from hack.testkit.yaml_text import parse_yaml

Json = dict[str, Any]

CASES: list[Json] = [
    {**case, "area": path.stem}
    for path in sorted((Path(__file__).parent / "invalid").glob("*.yaml"))
    for case in parse_yaml(path.read_text(encoding="utf-8"))
]
CRD = Path(__file__).parents[2] / "crd" / "selfhealingapp.yaml"


def list_expected_fragments(case: Json) -> list[str]:
    """Return the fragments that the refusal of a case must contain."""
    says = case["says"]
    return says if isinstance(says, list) else [says]


def case_id(case: Json) -> str:
    return f"{case['area']}: {case['case']}"


def create_dry_run(
    kube: KubeClient, namespace: str, spec: Json, name: str = "made-up"
) -> requests.Response:
    """Create a resource as kubectl does: strictly; only on trial."""
    whole = {"image": "nginx:1.29", **spec}
    body = build_app(
        namespace, name, {key: value for key, value in whole.items() if value is not None}
    )
    answer: requests.Response = kube.http.session.post(
        kube.url(body["kind"], namespace),
        json=body,
        params={"dryRun": "All", "fieldValidation": "Strict"},
        timeout=20,
    )
    return answer


def try_case(kube: KubeClient, namespace: str, case: Json, which: str) -> requests.Response:
    """Create the resource of a case on trial, or change the one that is there before to it."""
    name = case.get("name", "made-up") if which == "wrong" else "made-up"
    if "before" not in case:
        return create_dry_run(kube, namespace, case[which], name)
    body = kube.create(build_app(namespace, name, {"image": "nginx:1.29", **case["before"]}))
    try:
        body["spec"] = {"image": "nginx:1.29", **case[which]}
        answer: requests.Response = kube.http.session.put(
            kube.url(body["kind"], namespace, name),
            json=body,
            params={"dryRun": "All", "fieldValidation": "Strict"},
            timeout=20,
        )
    finally:
        kube.delete(body["kind"], namespace, name)
    return answer


def describe_refusal(answer: requests.Response) -> str:
    """Say in one text what kubectl prints of a refusal."""
    status = answer.json()
    causes = status.get("details", {}).get("causes", ())
    return "\n".join(
        [status["message"], *(f"{cause.get('field')}: {cause['message']}" for cause in causes)]
    )


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_wrong_resource_is_refused_with_the_words_a_user_needs(
    kube: KubeClient, namespace: str, case: Json
) -> None:
    """The message names the field and says what to write instead."""
    answer = try_case(kube, namespace, case, "wrong")

    assert not answer.ok
    assert [
        text for text in list_expected_fragments(case) if text not in describe_refusal(answer)
    ] == []


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_right_twin_of_a_wrong_resource_is_accepted(
    kube: KubeClient, namespace: str, case: Json
) -> None:
    """What the message leads to works."""
    answer = try_case(kube, namespace, case, "right")

    assert answer.ok, describe_refusal(answer)


def test_every_rule_of_the_crd_has_a_case() -> None:
    """A new CEL rule of the spec comes with a refused and an accepted resource."""
    messages: set[str] = set()
    (version,) = parse_yaml(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    del schema["properties"]["status"]

    def collect(node: object) -> None:
        if isinstance(node, dict):
            messages.update(rule["message"] for rule in node.get("x-kubernetes-validations", ()))
            node = list(node.values())
        for child in node if isinstance(node, list) else ():
            collect(child)

    collect(schema)
    fragments = [text for case in CASES for text in list_expected_fragments(case)]
    untold = {text for text in messages if not any(text in fragment for fragment in fragments)}

    assert untold == set()


def test_the_table_has_at_least_sixty_refusals() -> None:
    """The promise of the README."""
    assert len(CASES) >= 60
    assert len({case_id(case) for case in CASES}) == len(CASES)
