"""What a live child keeps although the operator's own value is another one."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.apply.child_diff import ChildAction, diff_child
from selfhealing.apply.kept_fields import keep_live_fields
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.views import ChildView
from selfhealing.render import Owner, build_children
from tests.unit import builders
from tests.unit.apply.test_adoption import CHILDREN, offered

Json = dict[str, Any]

PORT: Json = {"port": 80, "protocol": "TCP", "targetPort": "http"}


def test_the_only_port_stays_without_a_name() -> None:
    """With one, kube-proxy would know no endpoints of it for a moment."""
    kept = keep_live_fields(offered("Service", {"ports": [PORT]}), CHILDREN["Service"])

    assert kept["spec"]["ports"] == [PORT]
    assert CHILDREN["Service"] == {**kept, "spec": CHILDREN["Service"]["spec"]}


@pytest.mark.parametrize(
    "live",
    [
        offered("Service", {"ports": [{**PORT, "name": "web"}]}),
        offered("Service", {"ports": [{**PORT, "port": 81}]}),
        offered("Service", {"ports": [PORT, {**PORT, "port": 81}]}),
        offered("Service", {}),
        offered("Service", {"ports": [PORT]}, adopt=False),
        replace(offered("Service", {"ports": [PORT]}), manifest_json=b""),
        offered("Deployment"),
    ],
    ids=["named", "another", "two", "none", "not offered", "unknown", "no Service"],
)
def test_all_other_ports_have_names(live: ChildView) -> None:
    assert CHILDREN["Service"] == keep_live_fields(None, CHILDREN["Service"])
    assert CHILDREN[live.kind] == keep_live_fields(live, CHILDREN[live.kind])


def test_of_two_ports_each_has_a_name() -> None:
    """Kubernetes asks for it."""
    ports = [PORT, {**PORT, "port": 81}]
    two = {**CHILDREN["Service"], "spec": {"ports": ports}}

    assert two == keep_live_fields(offered("Service", {"ports": [PORT]}), two)


def desired_job(**more: Any) -> Json:  # noqa: ANN401 - JSON
    """Return the rendered Job of an app."""
    spec = parse_spec({"image": "web:v1", "restartPolicy": "Never", **more})
    [job] = build_children(Owner(builders.NAMESPACE, builders.APP, builders.APP_UID), spec)
    return job


def live_job(pod: Json) -> ChildView:
    """Return a live Job whose pods have these fields more."""
    manifest = copy.deepcopy(desired_job())
    del manifest["spec"]["template"]["spec"]["enableServiceLinks"]
    manifest["spec"]["template"]["spec"] |= pod
    # The hash of the manifest of an earlier version, which did not have the field.
    manifest["metadata"]["annotations"]["selfhealing.dev/applied"] = "earlier"
    manifest["metadata"] |= {"uid": "uid-of-Job"}
    return CHILD_VIEWS["Job"](manifest)


@pytest.mark.parametrize("pod", [{}, {"enableServiceLinks": True}])
def test_a_job_of_an_earlier_version_is_not_run_again(pod: Json) -> None:
    """Its template cannot be changed, and its run is the one that is wanted."""
    live = live_job(pod)

    kept = keep_live_fields(live, desired_job(job={"backoffLimit": 2}))

    assert "enableServiceLinks" not in kept["spec"]["template"]["spec"]
    assert ChildAction.UPDATE is diff_child(builders.APP_UID, live, kept)


def test_a_job_without_the_variables_stays_without_them() -> None:
    live, desired = live_job({"enableServiceLinks": False}), desired_job()

    assert desired == keep_live_fields(live, desired)
    assert desired == keep_live_fields(None, desired)
    assert desired == keep_live_fields(replace(live, manifest_json=b""), desired)


@pytest.mark.parametrize("has_links", [True, False])
def test_another_choice_of_the_spec_is_another_run(has_links: bool) -> None:  # noqa: FBT001 - a case
    live, desired = live_job({}), desired_job(enableServiceLinks=has_links)

    kept = keep_live_fields(live, desired)

    assert ChildAction.REPLACE is diff_child(builders.APP_UID, live, kept)
