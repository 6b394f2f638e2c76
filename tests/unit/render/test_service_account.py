"""The ServiceAccount of an app's own."""

from typing import Any

from selfhealing.api.spec import parse_spec
from selfhealing.render import Owner, build_children

Json = dict[str, Any]

OWNER = Owner(namespace="shop", name="web", uid="uid-of-web")
IDENTITY: Json = {"example.com/role": "reader"}


def render(**fields: Any) -> dict[str, Json]:  # noqa: ANN401 - fields of the spec
    """The children of an app by kind, in their order."""
    children = build_children(OWNER, parse_spec({"image": "web:1", **fields}))
    return {child["kind"]: child for child in children}


def test_it_is_created_before_the_pods_that_run_as_it() -> None:
    """Its token is mounted only if the pods ask for it."""
    children = render(serviceAccount={"create": True, "annotations": IDENTITY})
    account = children["ServiceAccount"]

    assert ["ServiceAccount", "Deployment"] == list(children)
    assert "reader" == account["metadata"]["annotations"]["example.com/role"]
    assert account["automountServiceAccountToken"] is False
    assert "web" == children["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"]


def test_one_that_exists_is_not_created() -> None:
    """Its name is enough."""
    children = render(serviceAccountName="robot", serviceAccount={"create": False})

    assert ["Deployment"] == list(children)
    assert "robot" == children["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"]
