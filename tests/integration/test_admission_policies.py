"""Who may ask for an app: the installation's policies, met by users with ordinary rights."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hack.testkit.admission_policies import POLICY, install_policies
from hack.testkit.kube_client import Json, KubeClient, require_success
from hack.testkit.namespace import KIND, AppNamespace
from hack.testkit.wait import eventually
from selfhealing.cli.admission_policies import service_account_user

APPS_ROLE: Json = {
    "apiGroups": ["selfhealing.dev"],
    "resources": ["selfhealingapps", "selfhealingapps/scale", "selfhealingapps/status"],
    "verbs": ["*"],
}
PODS_RULE: Json = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
ROBOT_RULE: Json = {
    "apiGroups": [""],
    "resources": ["serviceaccounts"],
    "resourceNames": ["robot"],
    "verbs": ["impersonate"],
}
USERS: dict[str, list[Json]] = {
    "author": [APPS_ROLE],
    "deployer": [APPS_ROLE, PODS_RULE],
    "robot-owner": [APPS_ROLE, PODS_RULE, ROBOT_RULE],
}
"""By user, what he may do in the namespace; ``editor`` has the ClusterRole edit."""

RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def policies(kube: KubeClient, space: AppNamespace) -> Iterator[list[str]]:
    """The policies in force, with users who have other rights."""
    for user, rules in USERS.items():
        create_user(kube, space.name, user, rules)
    create_user(kube, space.name, "editor", [APPS_ROLE])
    bind(kube, space.name, "editor", "ClusterRole", "edit")
    with install_policies(kube, space.name) as names:
        author = act_as(space, "author")
        eventually(
            lambda: is_refused(author.try_create(space.build_manifest("probe"), dry_run=True)),
            description="the policies refuse",
        )
        yield names


def create_user(kube: KubeClient, namespace: str, user: str, rules: list[Json]) -> None:
    """Create a Role with ``rules`` for a ServiceAccount of the namespace."""
    kube.create(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": {"name": user, "namespace": namespace},
            "rules": rules,
        }
    )
    bind(kube, namespace, user, "Role", user)


def bind(kube: KubeClient, namespace: str, user: str, kind: str, role: str) -> None:
    """Bind a role to a ServiceAccount of the namespace."""
    kube.create(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{user}-{role}", "namespace": namespace},
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": namespace}],
        }
    )


def act_as(space: AppNamespace, user: str) -> KubeClient:
    """A client of a ServiceAccount of the namespace."""
    client = KubeClient()
    client.http.session.headers["Impersonate-User"] = service_account_user(space.name, user)
    return client


def is_refused(response: requests.Response) -> bool:
    """Whether a policy has refused a request."""
    return response.status_code == requests.codes.forbidden and POLICY in response.text


def refusal(response: requests.Response) -> str:
    """The message of a request that a policy has refused."""
    assert is_refused(response), (response.status_code, response.text)
    message: str = response.json()["message"]
    return message


@pytest.mark.usefixtures("policies")
def test_who_may_not_create_pods(space: AppNamespace, name: str) -> None:
    """He may create no app, and is told whom to ask for what."""
    message = refusal(act_as(space, "author").try_create(space.build_manifest(name)))

    assert (
        f"user system:serviceaccount:{space.name}:author may not create pods in the namespace "
        f"{space.name}"
    ) in message
    assert "ask an administrator for the verb create on pods there" in message


@pytest.mark.usefixtures("policies")
def test_who_may_not_create_pods_changes_no_spec(space: AppNamespace, name: str) -> None:
    """He may do all that makes no other pods: labels, scaling, status, deletion."""
    space.create_app(name, replicas=0)
    author = act_as(space, "author")

    for spec in ({"image": "demo:v2"}, {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}):
        assert "may not create pods" in refusal(
            author.try_patch(KIND, space.name, name, {"spec": spec})
        )
    author.merge_patch(KIND, space.name, name, {"metadata": {"labels": {"team": "blue"}}})
    author.merge_patch(KIND, space.name, name, {"metadata": {"finalizers": ["team.example/x"]}})
    author.merge_patch(KIND, space.name, name, {"spec": {"replicas": 1}}, sub="scale")
    author.merge_patch(KIND, space.name, name, {"status": {"message": "mine"}}, sub="status")
    author.delete(KIND, space.name, name)
    author.merge_patch(KIND, space.name, name, {"metadata": {"finalizers": None}})
    eventually(lambda: space.kube.find(KIND, space.name, name) is None, description="it is gone")


ACCESS: dict[str, tuple[Json, str]] = {
    "ingress": ({"port": 80, "ingress": {"hosts": [{}]}}, "ingresses"),
    "route": ({"port": 80, "route": {"parentRefs": [{"name": "public"}]}}, "httproutes"),
    "networkPolicy": ({"networkPolicy": {}}, "networkpolicies"),
    "monitoring": ({"port": 80, "monitoring": {}}, "podmonitors"),
    "disruption": ({"disruption": {"minAvailable": 2}}, "poddisruptionbudgets"),
    "service": ({"port": 80, "service": {"type": "LoadBalancer"}}, "services"),
}
"""By field, a spec with it, and what its author must be allowed to create."""


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("field", ACCESS)
def test_who_may_create_pods_but_no_access(space: AppNamespace, name: str, field: str) -> None:
    """He gets no Ingress by the operator that he may not create himself; an administrator does."""
    spec, plural = ACCESS[field]
    body = space.build_manifest(name, replicas=0, **spec)

    message = refusal(act_as(space, "deployer").try_create(body, dry_run=True))

    assert f"may not create {plural} in the namespace {space.name}, and spec.{field}" in message
    require_success(space.kube.try_create(body, dry_run=True))


@pytest.mark.usefixtures("policies")
def test_access_by_ordinary_rights(space: AppNamespace, name: str) -> None:
    """The ClusterRole edit includes Ingresses and NetworkPolicies; annotations need nothing."""
    ingress, _ = ACCESS["ingress"]
    policy = {"networkPolicy": {"ingressController": {"namespace": "ingress-nginx"}}}
    beyond = {"service": {"type": "NodePort", "annotations": {"a": "b"}}, "disruption": {}}
    annotated = {"port": 80, "monitoring": {"mode": "Annotations"}}
    inside = {
        "service": {"type": "ClusterIP", "labels": {"a": "b"}},
        "disruption": {"enabled": False},
    }

    for user, spec in (
        ("editor", {**ingress, **policy}),
        ("editor", {"port": 80, **beyond}),
        ("deployer", {**annotated, **inside}),
    ):
        body = space.build_manifest(name, replicas=0, **spec)
        require_success(act_as(space, user).try_create(body, dry_run=True))
    body = space.build_manifest(name, port=80, service={"annotations": {"a": "b"}})
    assert "may not create services" in refusal(act_as(space, "deployer").try_create(body))


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("account", [None, "default"])
def test_who_may_create_pods(space: AppNamespace, name: str, account: str | None) -> None:
    """He may create and change an app that runs as the namespace's default ServiceAccount."""
    deployer = act_as(space, "deployer")
    spec = {"serviceAccountName": account} if account else {}
    deployer.create(space.build_manifest(name, replicas=0, **spec))
    deployer.merge_patch(KIND, space.name, name, {"spec": {"image": "demo:v2"}})
    require_success(deployer.try_apply(space.build_manifest(name, image="demo:v3", **spec)))


@pytest.mark.usefixtures("policies")
def test_another_service_account(space: AppNamespace, name: str) -> None:
    """It needs the right to act as this ServiceAccount, also to change an app that has it."""
    robot = space.build_manifest(name, replicas=0, serviceAccountName="robot")
    message = refusal(act_as(space, "deployer").try_create(robot))

    assert "may not use the ServiceAccount robot" in message
    assert "ask an administrator for the verb impersonate on this ServiceAccount" in message

    owner = act_as(space, "robot-owner")
    owner.create(robot)

    assert "may not use the ServiceAccount admin" in refusal(
        owner.try_patch(KIND, space.name, name, {"spec": {"serviceAccountName": "admin"}})
    )
    assert "may not use the ServiceAccount robot" in refusal(
        act_as(space, "deployer").try_patch(KIND, space.name, name, {"spec": {"args": ["x"]}})
    )


@pytest.mark.usefixtures("policies")
def test_the_cluster_role_edit_is_enough(space: AppNamespace, name: str) -> None:
    """It has both rights, so that most users notice nothing."""
    editor = act_as(space, "editor")
    editor.create(space.build_manifest(name, replicas=0, serviceAccountName="robot"))
    editor.merge_patch(KIND, space.name, name, {"spec": {"serviceAccountName": "other"}})


@pytest.mark.usefixtures("policies")
def test_a_service_account_of_the_app_s_own(space: AppNamespace, name: str) -> None:
    """One of that name may exist with rights, so the right to act as it is asked for, too."""
    own = space.build_manifest(name, replicas=0, serviceAccount={"create": True})
    message = refusal(act_as(space, "robot-owner").try_create(own))

    assert f"may not create the ServiceAccount {name}" in message
    assert "ask an administrator for the verbs create and impersonate" in message

    act_as(space, "editor").create(own)


@pytest.mark.usefixtures("policies")
def test_a_spec_of_the_greatest_size(space: AppNamespace, name: str) -> None:
    """It is compared within the cost that the API server allows for an expression."""
    large: dict[str, Any] = {
        "env": [{"name": f"V{number}", "value": "x" * 2000} for number in range(256)],
        "args": ["y" * 1000] * 256,
    }
    editor = act_as(space, "editor")
    editor.create(space.build_manifest(name, replicas=0, **large))
    large["args"][-1] = "z"
    editor.merge_patch(KIND, space.name, name, {"spec": large})
    editor.merge_patch(KIND, space.name, name, {"metadata": {"labels": {"team": "blue"}}})


def test_the_expressions_fit_the_types(kube: KubeClient, policies: list[str]) -> None:
    """The API server compiles them for the kinds that they match, and warns of unknown fields."""
    for name in policies:
        status = kube.get(POLICY, None, name)["status"]

        assert {} == status.get("typeChecking", {}), name


HOST_PORT: Json = {"ports": [{"name": "web", "port": 8080, "hostPort": 80}]}


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    ("spec", "is_warned"),
    [
        (HOST_PORT, True),
        ({"hostNetwork": True}, True),
        (HOST_PORT | {"rollout": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}}, True),
        (HOST_PORT | {"rollout": {"strategy": {"rollingUpdate": {"maxSurge": 0}}}}, False),
        (HOST_PORT | {"rollout": {"strategy": {"type": "Recreate"}}}, False),
        (HOST_PORT | {"restartPolicy": "Never"}, False),
        ({"port": 8080, "hostNetwork": False}, False),
    ],
)
def test_a_port_of_the_node_is_told(space: AppNamespace, spec: Json, *, is_warned: bool) -> None:
    """With a surge the pods of a new version need nodes that have none yet."""
    editor = act_as(space, "editor")

    def is_told(spec: Json) -> bool:
        answer = editor.try_create(space.build_manifest("probe", **spec), dry_run=True)
        assert answer.ok, answer.text
        return "maxSurge: 0, or remove hostPort" in answer.headers.get("Warning", "")

    # The API server takes a new policy up a moment after it was created.
    eventually(lambda: is_told(HOST_PORT), description="the policy is in force")
    assert is_told(spec) is is_warned


IN_PLACE: Json = {"rollout": {"strategy": {"type": "Recreate"}}}
NO_SURGE: Json = {"rollout": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}}
CLAIM: Json = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
READ_ONLY: Json = {
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        {"name": "tmp", "emptyDir": {}},
    ]
}
SCALED: Json = {"autoscaling": {"maxReplicas": 3}}
NODE_PORT: Json = {"ports": [{"name": "web", "port": 8080, "hostPort": 80}]}


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({}, set()),
        (CLAIM, {"ReadWriteOnce"}),
        (CLAIM | IN_PLACE, set()),
        (CLAIM | NO_SURGE, set()),
        (CLAIM | IN_PLACE | {"replicas": 2}, {"ReadWriteOnce"}),
        (CLAIM | IN_PLACE | SCALED, {"ReadWriteOnce"}),
        (CLAIM | {"restartPolicy": "Never"}, set()),
        (READ_ONLY | {"replicas": 2}, set()),
        (NODE_PORT, {"hostPort"}),
        (NODE_PORT | NO_SURGE | {"replicas": 2}, set()),
        (CLAIM | NODE_PORT, {"ReadWriteOnce", "hostPort"}),
    ],
)
def test_what_is_valid_and_rarely_meant(
    space: AppNamespace, spec: Json, warnings: set[str]
) -> None:
    """Each warning says what to write instead, and nothing is refused."""
    response = space.kube.try_create(space.build_manifest("probe", **spec), dry_run=True)

    assert response.ok, response.text
    said = response.headers.get("Warning", "")
    assert warnings == {word for word in ("ReadWriteOnce", "hostPort") if word in said}, said
