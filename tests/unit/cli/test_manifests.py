"""The manifests that install the operator, with the rights that its code needs."""

import re
from pathlib import Path
from typing import Any

import pytest

from hack.testkit.yaml_text import parse_yaml_documents
from selfhealing.api.config_refs import ConfigWatch
from selfhealing.cli.installation import (
    DEFAULT_IMAGE,
    METRICS_READER_ROLE,
    NAME,
    NAMESPACE,
    Installation,
    build_manifests,
    build_rbac_rules,
)
from selfhealing.cli.manifests import main
from selfhealing.controller.settings import load_settings
from selfhealing.kube.resources import (
    CLUSTER_SCOPED,
    LEASES,
    SERVED_NAMESPACE,
    namespace_scoped_resources,
)

Json = dict[str, Any]
Permission = tuple[str, str, str]

ROOT = Path(__file__).parents[3]
USER_ROLES = {"selfhealingapps-view", "selfhealingapps-edit"}


def objects_of_kind(objects: list[Json], kind: str) -> list[Json]:
    """Return the objects of one kind."""
    return [thing for thing in objects if thing["kind"] == kind]


def find_object(objects: list[Json], kind: str, name: str = NAME) -> Json:
    """Return the object of this kind and name."""
    [found] = [
        thing for thing in objects_of_kind(objects, kind) if thing["metadata"]["name"] == name
    ]
    return found


def granted_permissions(role: Json) -> set[Permission]:
    """Return the rights of a role: group, resource and verb."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed_permissions(*, cluster: bool, watch: ConfigWatch = "configmaps") -> set[Permission]:
    """Return the rights in the table."""
    found = set()
    others = CLUSTER_SCOPED if cluster else (SERVED_NAMESPACE,)
    for resource in (*namespace_scoped_resources(watch), *others):
        found |= {(resource.group, resource.plural, verb) for verb in resource.verbs}
        for name, verbs in resource.subresources.items():
            found |= {(resource.group, f"{resource.plural}/{name}", verb) for verb in verbs}
    return found


def test_the_rules_are_those_of_the_table() -> None:
    """For the whole cluster there is one ClusterRole."""
    objects = build_manifests(Installation())

    assert needed_permissions(cluster=True) == granted_permissions(
        find_object(objects, "ClusterRole")
    )
    assert [f"{NAME}-leases"] == [
        role["metadata"]["name"] for role in objects_of_kind(objects, "Role")
    ]


def test_a_rule_names_each_resource_once() -> None:
    """Each resource and subresource has one rule with sorted verbs, so that diffs are small."""
    found = build_rbac_rules(namespace_scoped_resources("all"))
    targets = [(*rule["apiGroups"], *rule["resources"]) for rule in found]

    assert len(set(targets)) == len(targets)
    assert all(rule["verbs"] == sorted(rule["verbs"]) for rule in found)


@pytest.mark.parametrize("watch", ["all", "configmaps", "off"])
def test_what_is_not_watched_is_not_granted(watch: ConfigWatch) -> None:
    """The operator gets the setting too, because it would end on a watch without the right."""
    objects = build_manifests(Installation(config_watch=watch))
    allowed = granted_permissions(find_object(objects, "ClusterRole"))
    [container] = find_object(objects, "Deployment")["spec"]["template"]["spec"]["containers"]

    assert needed_permissions(cluster=True, watch=watch) == allowed
    assert (watch == "all") == ("secrets" in {resource for _, resource, _ in allowed})
    assert (watch != "off") == (("", "configmaps", "watch") in allowed)
    assert (
        watch
        == load_settings({each["name"]: each["value"] for each in container["env"]}).config_watch
    )


def test_secrets_are_not_read_unless_somebody_opts_in() -> None:
    """The committed manifests are the default ones: no verb on Secrets, in any role."""
    for objects in (
        build_manifests(Installation()),
        build_manifests(Installation(namespaces=("shop",))),
        list(parse_yaml_documents((ROOT / "deploy" / "operator.yaml").read_text())),
    ):
        roles = objects_of_kind(objects, "ClusterRole") + objects_of_kind(objects, "Role")

        assert not any(
            resource == "secrets" for role in roles for _, resource, _ in granted_permissions(role)
        )


def test_for_named_namespaces_there_are_roles_only() -> None:
    """The operator has no rights outside of the namespaces that it serves."""
    objects = build_manifests(Installation(namespaces=("shop", "bank")))
    roles = {role["metadata"]["namespace"]: role for role in objects_of_kind(objects, "Role")}

    assert {"shop", "bank", NAMESPACE} == set(roles)
    assert (
        needed_permissions(cluster=False)
        == granted_permissions(roles["shop"])
        == granted_permissions(roles["bank"])
    )
    assert [] == objects_of_kind(objects, "ClusterRoleBinding")
    assert USER_ROLES == {
        role["metadata"]["name"] for role in objects_of_kind(objects, "ClusterRole")
    }


@pytest.mark.parametrize("namespaces", [(), ("shop",), ("shop", "bank")])
def test_only_the_operator_s_own_lease_may_be_changed(namespaces: tuple[str, ...]) -> None:
    """All verbs are limited by name, except create, where that is impossible."""
    role = find_object(
        build_manifests(Installation(namespaces=namespaces)), "Role", f"{NAME}-leases"
    )
    create, others = role["rules"]

    assert NAMESPACE == role["metadata"]["namespace"]
    assert {(LEASES.group, LEASES.plural, verb) for verb in LEASES.verbs} == granted_permissions(
        role
    )
    assert ["create"] == create["verbs"]
    assert [load_settings({}).lease_name] == others["resourceNames"]


@pytest.mark.parametrize("namespaces", [(), ("shop",), ("shop", "bank")])
def test_every_binding_binds_a_role_that_exists_to_the_operator(
    namespaces: tuple[str, ...],
) -> None:
    """Role and binding are in one namespace; the subject is the pods' service account."""
    objects = build_manifests(Installation(namespaces=namespaces))
    account = find_object(objects, "ServiceAccount")["metadata"]
    pods = find_object(objects, "Deployment")["spec"]["template"]["spec"]
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}

    assert (NAME, NAMESPACE) == (account["name"], account["namespace"])
    assert NAME == pods["serviceAccountName"]
    for kind in ("Role", "ClusterRole"):
        where = {
            (role["metadata"].get("namespace"), role["metadata"]["name"])
            for role in objects_of_kind(objects, kind)
            if role["metadata"]["name"] not in USER_ROLES
        }
        bindings = objects_of_kind(objects, f"{kind}Binding")

        assert where == {
            (binding["metadata"].get("namespace"), binding["roleRef"]["name"])
            for binding in bindings
        }
        assert all(kind == binding["roleRef"]["kind"] for binding in bindings)
        assert all([subject] == binding["subjects"] for binding in bindings)


@pytest.mark.parametrize("namespaces", [(), ("shop",)])
def test_the_right_to_review_tokens(namespaces: tuple[str, ...]) -> None:
    """It is there only where the metrics ask for a token; the operator gets the setting."""
    without = build_manifests(Installation(namespaces=namespaces))
    objects = build_manifests(Installation(namespaces=namespaces, metrics_auth="token"))
    [container] = find_object(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    binding = find_object(objects, "ClusterRoleBinding", f"{NAME}-metrics-auth")

    assert {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    } == granted_permissions(find_object(objects, "ClusterRole", f"{NAME}-metrics-auth"))
    assert f"{NAME}-metrics-auth" == binding["roleRef"]["name"]
    assert [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}] == find_object(
        objects, "ClusterRole", METRICS_READER_ROLE
    )["rules"]
    assert (
        "token"
        == load_settings({each["name"]: each["value"] for each in container["env"]}).metrics_auth
    )
    assert [] == [each for each in without if "metrics-auth" in each["metadata"]["name"]]


def test_who_reaches_the_operator() -> None:
    """Metrics from namespaces of monitoring only, probes from anywhere; the ports exist."""
    objects = build_manifests(Installation())
    policy = find_object(objects, "NetworkPolicy")["spec"]
    pod = find_object(objects, "Deployment")["spec"]["template"]
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    by_port = {rule["ports"][0]["port"]: rule for rule in policy["ingress"]}

    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert ports == by_port.keys()
    assert [
        {"selfhealing.dev/metrics": "true"},
        {"kubernetes.io/metadata.name": "monitoring"},
    ] == [peer["namespaceSelector"]["matchLabels"] for peer in by_port["metrics"]["from"]]
    assert "from" not in by_port["health"]


def test_where_the_operator_connects_to() -> None:
    """Name servers and the API server; both are TCP, a name server is UDP as well."""
    policy = find_object(build_manifests(Installation()), "NetworkPolicy")["spec"]

    assert {"Ingress", "Egress"} == set(policy["policyTypes"])
    assert {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443)} == {
        (port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]
    }


def test_people_get_what_their_roles_say() -> None:
    """The role view may not write, and no role may write the status."""
    objects = build_manifests(Installation())
    view = granted_permissions(find_object(objects, "ClusterRole", "selfhealingapps-view"))
    edit = granted_permissions(find_object(objects, "ClusterRole", "selfhealingapps-edit"))

    assert {"get", "list", "watch"} == {verb for _, _, verb in view}
    assert ("selfhealing.dev", "selfhealingapps/scale", "patch") in edit
    assert not any(resource.endswith("/status") for _, resource, _ in edit)


@pytest.mark.parametrize("namespaces", [(), ("shop",), ("shop", "bank")])
def test_the_operator_understands_its_environment(namespaces: tuple[str, ...]) -> None:
    """The environment has the namespaces of the roles; the ports are those of the settings."""
    [container] = find_object(
        build_manifests(Installation(image="mine:1", namespaces=namespaces)), "Deployment"
    )["spec"]["template"]["spec"]["containers"]
    settings = load_settings({variable["name"]: variable["value"] for variable in container["env"]})
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert "mine:1" == container["image"]
    assert namespaces == settings.namespaces
    assert "json" == settings.log_format
    assert {"metrics": settings.metrics_port, "health": settings.health_port} == ports


def test_the_command_prints_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    """The output has the same objects, without YAML anchors."""
    assert 0 == main(["--image", "mine:1", "--namespaces", "shop,, bank", "--config-watch", "all"])

    text = capsys.readouterr().out
    installation = Installation(image="mine:1", namespaces=("shop", "bank"), config_watch="all")
    assert build_manifests(installation) == list(parse_yaml_documents(text))
    assert not any(re.match(r"[-\s]*[&*]\w", line) for line in text.splitlines())
    assert text.startswith("# Generated by `make generate`")


def test_check_is_content_with_what_would_be_generated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed."""
    main([])
    file = tmp_path / "operator.yaml"
    file.write_text(capsys.readouterr().out)

    assert 0 == main(["--check", str(file)])
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DEFAULT_IMAGE, "other:1"),
        ("  - watch\n", ""),
        ("# Generated", "# Made"),
        ("- patch", "- '*'"),
    ],
)
def test_check_shows_what_is_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    """The difference from the file to the generated text is printed."""
    main([])
    text = capsys.readouterr().out
    file = tmp_path / "operator.yaml"
    file.write_text(text.replace(old, new, 1))

    assert text != file.read_text()
    assert 1 == main(["--check", str(file)])

    said = capsys.readouterr().out
    assert said.startswith(f"--- {file}\n+++ generated\n")
    assert f"+{next(line for line in text.splitlines() if old.strip() in line)}\n" in said


def test_the_published_file_is_fresh() -> None:
    """deploy/operator.yaml equals the generated text."""
    assert 0 == main(["--check", str(ROOT / "deploy" / "operator.yaml")])
