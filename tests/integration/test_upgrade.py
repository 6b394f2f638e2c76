"""An upgrade in place: what the version before has stored is read, and stored under the new names.

The test loosens the schema of the CRD for a moment, because the API server of the version before
accepted names and values that the CRD of this version refuses. No other test may need the CRD at
that moment, so it runs alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.fixtures import build_app
from hack.testkit.healing import (
    annotate_app,
    create_stable_app,
    get_healing_status,
    wait_for_outcomes,
)
from hack.testkit.kube_client import KubeClient
from hack.testkit.namespace import KIND, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from selfhealing.api.names import GROUP, PLURAL
from selfhealing.api.status_migration import (
    RENAMED_ACTION_FIELDS,
    RENAMED_FIELDS,
    RENAMED_VALUES,
)

Json = dict[str, Any]

pytestmark = pytest.mark.alone

CRD_NAME = f"{PLURAL}.{GROUP}"
SCHEMA = "/spec/versions/0/schema/openAPIV3Schema/properties"
ANY_OBJECT: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

LASTING_FIELDS = (
    "mode",
    "budgetLeft",
    "desiredRevision",
    "desiredSince",
    "stableRevision",
    "stableImage",
    "nextId",
    "history",
)
"""Fields of status.healing that nothing changes while the app is healthy."""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Every time of healing is a twentieth of what the spec says."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


def old_words(healing: Json) -> Json:
    """Return status.healing as the version before wrote it."""
    old_fields = {new: old for old, new in {**RENAMED_FIELDS, **RENAMED_ACTION_FIELDS}.items()}
    old_values = {
        field: {new: old for old, new in values.items()} for field, values in RENAMED_VALUES.items()
    }

    def rename(part: Json) -> Json:
        return {
            old_fields.get(name, name): old_values.get(name, {}).get(value, value)
            if isinstance(value, str)
            else value
            for name, value in part.items()
        }

    return {**rename(healing), "history": [rename(action) for action in healing["history"]]}


def create_with_recycle(kube: KubeClient, namespace: str) -> requests.Response:
    """Ask the API server for an app with the old name, without storing it."""
    spec = {"image": "demo:v1", "healing": {"recycle": {"enabled": False}}}
    return kube.try_create(build_app(namespace, "made-up", spec), dry_run=True)


@contextmanager
def loosened_crd(kube: KubeClient, namespace: str) -> Iterator[None]:
    """While the block runs, spec.healing and status.healing are not validated."""
    crd = kube.get("CustomResourceDefinition", None, CRD_NAME)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    paths = [f"{SCHEMA}/{part}/properties/healing" for part in ("spec", "status")]
    originals = [schema[part]["properties"]["healing"] for part in ("spec", "status")]
    rules = schema["spec"]["x-kubernetes-validations"]

    def replace(rules: list[Json], schemas: list[Json]) -> None:
        patch: list[Json] = [
            {"op": "replace", "path": f"{SCHEMA}/spec/x-kubernetes-validations", "value": rules},
            *(
                {"op": "replace", "path": path, "value": value}
                for path, value in zip(paths, schemas, strict=True)
            ),
        ]
        kube.patch("CustomResourceDefinition", None, CRD_NAME, patch)

    # A rule of the spec that reads a field of healing would no longer compile.
    replace([rule for rule in rules if "self.healing" not in rule["rule"]], [ANY_OBJECT] * 2)
    try:
        eventually(
            lambda: create_with_recycle(kube, namespace).ok, description="the loose schema is used"
        )
        yield
    finally:
        replace(rules, originals)
    eventually(
        lambda: not create_with_recycle(kube, namespace).ok, description="the schema is used again"
    )


def test_upgrade_in_place(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """Budget, stable revision and history are kept, and so is a switch in the spec."""
    pods = create_stable_app(space, name)
    kubelet.set_ready(pods[0], ready=False)
    wait_for_outcomes(space, name, ("ReplacePod", "Succeeded"))
    space.wait_for_phase(name, "Ready")

    with operator.stop_temporarily():
        before = get_healing_status(space, name)
        spec = space.get_app(name)["spec"]["healing"]
        old_spec = {**spec, "recycle": {**spec["replacePod"], "enabled": False}}
        del old_spec["replacePod"]
        with loosened_crd(space.kube, space.name):
            for part, value, sub in (
                ("spec", old_spec, ""),
                ("status", old_words(before), "status"),
            ):
                patch = [{"op": "replace", "path": f"/{part}/healing", "value": value}]
                space.kube.patch(KIND, space.name, name, patch, sub=sub)
        stored = space.get_app(name)
        assert old_words(before) == stored["status"]["healing"], "nothing is pruned"
        assert stored["spec"]["healing"]["recycle"]["enabled"] is False

    def is_rewritten() -> bool:
        found = get_healing_status(space, name)
        assert not RENAMED_FIELDS.keys() & found.keys(), found
        assert {key: before[key] for key in LASTING_FIELDS} == {
            key: found[key] for key in LASTING_FIELDS
        }
        return True

    eventually(is_rewritten, description="the status has the new names")

    # The stored spec stays valid while its part with the old name is unchanged.
    annotate_app(space, name, resume="later")
    space.patch_spec(name, replicas=2)
    space.wait_for_phase(name, "Ready")
    refusal = space.kube.try_patch(
        KIND, space.name, name, {"spec": {"healing": {"recycle": {"after": "2m"}}}}
    )
    assert not refusal.ok
    assert "recycle is now replacePod" in refusal.text
    space.patch_spec(name, healing={"recycle": None, "replacePod": {"enabled": False}})
