from typing import Any

import pytest

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.render.deployment import build_deployment
from selfhealing.render.job import run_hash
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import Overrides
from selfhealing.render.pod import build_pod_template

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")


def render_pod_spec(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    """Return the pod's spec in the Deployment of an app."""
    spec = parse_spec({"image": "web:1", **fields})
    deployment = build_deployment(OWNER, spec, build_pod_template(OWNER.name, spec)) or {}
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def test_a_service_account_is_owned_under_both_names() -> None:
    """A version without an account could not be applied over this one otherwise."""
    pod_spec = render_pod_spec(serviceAccountName="runner")

    assert ("runner", "runner") == (pod_spec["serviceAccountName"], pod_spec["serviceAccount"])
    assert not {"serviceAccountName", "serviceAccount"} & set(render_pod_spec())


def test_a_revision_that_failed_is_named() -> None:
    """The Deployment carries it beside the version that runs in its place."""
    spec = parse_spec({"image": "web:1"})
    overrides = Overrides(failed_revision="web-def")
    template = build_pod_template(OWNER.name, spec)
    deployment = build_deployment(OWNER, spec, template, overrides) or {}

    assert "web-def" == deployment["metadata"]["annotations"][names.ANNOTATION_FAILED_REVISION]


def test_no_variables_of_services() -> None:
    """A Service named meter would set METER_PORT, which an app of that name may read."""
    assert render_pod_spec()["enableServiceLinks"] is False
    assert render_pod_spec(enableServiceLinks=True)["enableServiceLinks"] is True


def test_the_run_of_a_job_does_not_depend_on_the_default() -> None:
    """An earlier version did not set the field: the new one must run no Job again."""
    spec = parse_spec({"image": "web:1", "restartPolicy": "Never"})
    template = build_pod_template("web", spec)
    pod = {key: value for key, value in template["spec"].items() if key != "enableServiceLinks"}

    assert template["spec"]["enableServiceLinks"] is False
    assert run_hash(spec, template) == run_hash(spec, {**template, "spec": pod})


@pytest.mark.parametrize("has_links", [True, False])
def test_the_run_of_a_job_depends_on_the_choice_of_the_spec(has_links: bool) -> None:  # noqa: FBT001 - a case
    given = {"image": "web:1", "restartPolicy": "Never"}
    default, chosen = parse_spec(given), parse_spec({**given, "enableServiceLinks": has_links})
    template = build_pod_template("web", chosen)

    assert has_links is template["spec"]["enableServiceLinks"]
    assert run_hash(chosen, template) != run_hash(default, build_pod_template("web", default))


def test_a_native_sidecar_starts_before_the_init_containers_after_it() -> None:
    """Their order is the user's; it has probes as a sidecar does."""
    mesh = {
        "name": "mesh",
        "image": "mesh:1",
        "restartPolicy": "Always",
        "startupProbe": {"tcpSocket": {"port": 15021}},
    }
    migrate = {"name": "migrate", "image": "web:1"}

    assert [mesh, migrate] == render_pod_spec(initContainers=[mesh, migrate])["initContainers"]
