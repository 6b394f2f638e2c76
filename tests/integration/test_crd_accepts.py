"""What the CRD accepts, Kubernetes accepts: no child of an accepted resource is refused."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from hack.testkit import vpa
from hack.testkit.fixtures import build_app
from hack.testkit.kube_client import KubeClient
from hack.testkit.optional_kinds import SPECS, ensure_kind_served
from selfhealing.api.names import WORKLOAD_KINDS
from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner, build_children
from tests.unit.api.strategies import Where, leaves, names, specs

EXAMPLES = int(os.environ.get("CRD_EXAMPLES", "2"))
"""For each field, however deep: the simplest, then random ones; where it is given, new ones in
each run."""


@pytest.fixture(scope="module", autouse=True)
def every_kind(kube: KubeClient) -> None:
    """The kinds of all children are served."""
    vpa.ensure_vpa_served(kube)
    for kind in SPECS:
        ensure_kind_served(kube, kind)


KNOWN_BY_THE_CLUSTER = (
    "already allocated",
    "not configured on this cluster",
    "not configured for dual-stack",
)
"""Parts of refusals that no schema could know of: a node port that another Service has, and IP
families."""


FIELDS = sorted({leaf[0] for leaf in leaves()})


def build_pod(deployment: dict[str, Any]) -> dict[str, Any]:
    """The pod that a ReplicaSet would create, without what only the cluster can know."""
    template = deployment["spec"]["template"]
    spec = dict(template["spec"])
    objects = ("serviceAccountName", "serviceAccount", "priorityClassName", "runtimeClassName")
    for name in objects:
        spec.pop(name, None)
    meta = deployment["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-abc-def",
            "namespace": meta["namespace"],
            **template["metadata"],
        },
        "spec": spec,
    }


@pytest.mark.timeout(0)
@pytest.mark.parametrize("field", FIELDS)
def test_every_accepted_resource_renders_into_accepted_children(
    kube: KubeClient, namespace: str, field: str
) -> None:
    """A resource that the API server takes never fails later, in an object nobody wrote."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize="CRD_EXAMPLES" not in os.environ,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def accepted_by_kubernetes(path: Where, data: st.DataObject) -> None:
        name, spec = data.draw(names()), data.draw(specs(st.just(path)))
        accepted.append(try_resource(kube, namespace, name, spec))

    accepted: list[bool] = []
    for path in (leaf for leaf in leaves() if leaf[0] == field):
        accepted_by_kubernetes(path)

    assert any(accepted)


def try_resource(kube: KubeClient, namespace: str, name: str, spec: dict[str, Any]) -> bool:
    """Try a resource; when it is accepted, try its children and a pod of it, and say so."""
    answer = kube.try_create(build_app(namespace, name, spec), dry_run=True)
    if not answer.ok:
        return False
    stored = answer.json()
    owner = Owner(namespace, name, stored["metadata"]["uid"])
    made = build_children(owner, parse_spec(stored["spec"]))
    workload = next(child for child in made if child["kind"] in WORKLOAD_KINDS)
    for child in (*made, build_pod(workload)):
        verdict = (
            kube.try_create(child, dry_run=True)
            if child["kind"] == "Pod"
            else kube.try_apply(child, dry_run=True)
        )
        if not verdict.ok and any(words in verdict.text for words in KNOWN_BY_THE_CLUSTER):
            continue
        assert verdict.ok, f"{child['kind']}: {verdict.json()['message']}\nspec: {spec}"
    return True
