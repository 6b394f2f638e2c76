"""A saved template runs only if it is the one that was saved and gives no further privilege."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.api.spec import parse_spec
from selfhealing.remediation import template_check
from selfhealing.remediation.template_check import find_template_fault
from selfhealing.render.overrides import template_digest, template_revision
from selfhealing.render.pod import build_pod_template
from tests.unit.api.strategies import specs
from tests.unit.examples import scale_examples

Json = dict[str, Any]

SPEC: Json = {"image": "web:v1", "port": 5000}
HARDENED: Json = {
    **SPEC,
    "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsUser": 1000,
    },
}


def render(spec: Json, config_hash: str = "") -> Json:
    """The pod template of a spec."""
    return build_pod_template("web", parse_spec(spec), config_hash)


def find_fault(saved: Json, present: Json | None = None) -> str:
    """The fault of a template whose hash is right."""
    return find_template_fault(saved, template_revision(saved), present or render(HARDENED))


def test_the_template_of_an_earlier_spec() -> None:
    """Another image, environment, configuration and sidecar are what a rollback is for."""
    earlier = {
        **HARDENED,
        "image": "web:v0",
        "env": [{"name": "A", "value": "b"}],
        "sidecars": [
            {
                "name": "proxy",
                "image": "proxy:v1",
                "securityContext": {"allowPrivilegeEscalation": False},
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }

    assert "" == find_fault(render(earlier, "abc"), render(HARDENED, "def"))


def test_a_hardening_that_is_undone() -> None:
    """A new revision that the app does not stand may be rolled back: defaults are no privilege."""
    assert "" == find_fault(render(SPEC), render(HARDENED))


def test_another_content_than_was_saved() -> None:
    """Its hash is its name."""
    saved = render(SPEC)
    revision = template_revision(saved)
    saved["spec"]["containers"][0]["image"] = "evil:v1"

    assert "its content is not the one that was saved" == find_template_fault(
        saved, revision, render(SPEC)
    )


@pytest.mark.parametrize(
    "field",
    ["nodeName", "priority", "overhead", "schedulingGates", "ephemeralContainers"],
)
def test_a_field_that_is_never_rendered(field: str) -> None:
    """Whatever its value is."""
    saved = render(SPEC)
    saved["spec"][field] = True

    assert find_fault(saved, render(SPEC)).endswith(f"does not render: {field}")


@pytest.mark.parametrize(
    ("then", "now", "fault"),
    [
        ({"app": "shop"}, {"app": "cart"}, ""),
        ({}, {"app": "cart"}, "it has a field that the operator does not render: other labels"),
        ({"app": "shop"}, {}, "it has a field that the operator does not render: other labels"),
    ],
)
def test_the_label_app(then: Json, now: Json, fault: str) -> None:
    """It may have another value, but not stand for the app in one of both alone."""
    saved, present = (render({**SPEC, "podMetadata": {"labels": labels}}) for labels in (then, now))

    assert fault == find_fault(saved, present)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("labels", {"selfhealing.dev/app": "other"}),
        ("annotations", {"selfhealing.dev/other": "x"}),
        ("finalizers", ["x"]),
    ],
)
def test_other_metadata(part: str, value: object) -> None:
    """Labels select pods, and annotations give rights."""
    saved = render(SPEC)
    saved["metadata"][part] = value

    assert "does not render" in find_fault(saved, render(SPEC))


def with_pod_metadata(**parts: Json) -> Json:
    """The pod template of a spec with labels and annotations of its own."""
    return render({**SPEC, "podMetadata": parts})


@pytest.mark.parametrize(
    ("saved", "present", "fault"),
    [
        ({"labels": {"version": "v1"}}, {"labels": {"version": "v2"}}, ""),
        ({"annotations": {"example.com/a": "1"}}, {"annotations": {"example.com/a": "2"}}, ""),
        ({}, {"labels": {"version": "v2"}, "annotations": {"example.com/a": "2"}}, ""),
        ({"labels": {"role": "db"}}, {}, "the spec no longer asks for the label role"),
        (
            {"annotations": {"example.com/a": "1"}},
            {},
            "the spec no longer asks for the annotation example.com/a",
        ),
    ],
)
def test_metadata_of_the_spec(saved: Json, present: Json, fault: str) -> None:
    """Values may be those of an earlier version, keys only those that the spec still has."""
    assert fault == find_fault(with_pod_metadata(**saved), with_pod_metadata(**present))


PRIVILEGES: dict[str, Json] = {
    "a privileged container": {"securityContext": {"privileged": True}},
    "privilege escalation": {"securityContext": {"allowPrivilegeEscalation": True}},
    "the user root": {"securityContext": {"runAsUser": 0}},
    "the group root": {"securityContext": {"runAsGroup": 0}},
    "the capability NET_ADMIN": {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
    "an unmasked /proc": {"securityContext": {"procMount": "Unmasked"}},
    "the seccompProfile": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "the appArmorProfile": {"podSecurityContext": {"appArmorProfile": {"type": "Unconfined"}}},
    "the SELinux options": {"podSecurityContext": {"seLinuxOptions": {"type": "spc_t"}}},
    "the Windows options": {"podSecurityContext": {"windowsOptions": {"hostProcess": True}}},
    "the group root of volumes": {"podSecurityContext": {"fsGroup": 0}},
    "the sysctl": {"podSecurityContext": {"sysctls": [{"name": "kernel.x", "value": "1"}]}},
    "the groups": {"podSecurityContext": {"supplementalGroups": [0]}},
    "the service account admin": {"serviceAccountName": "admin"},
    "the priority class high": {"priorityClassName": "high"},
    "the network of the node": {"hostNetwork": True},
    "the processes of the node": {"hostPID": True},
    "the shared memory of the node": {"hostIPC": True},
    "the processes of the other containers": {"shareProcessNamespace": True},
    "the runtime class fast": {"runtimeClassName": "fast"},
    "the resource claim": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]},
    "the toleration": {"tolerations": [{"operator": "Exists"}]},
    "the host path": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
    "the host port 80": {
        "sidecars": [
            {"name": "x", "image": "x:v1", "ports": [{"containerPort": 80, "hostPort": 80}]}
        ]
    },
}


@pytest.mark.parametrize(("privilege", "fields"), PRIVILEGES.items(), ids=PRIVILEGES)
def test_a_privilege_that_the_spec_does_not_ask_for(privilege: str, fields: Json) -> None:
    """It is refused by name, and allowed where the spec asks for it, too."""
    merged = {
        key: {**HARDENED.get(key, {}), **value} if isinstance(value, dict) else value
        for key, value in fields.items()
    }
    saved = render({**HARDENED, **merged})

    assert privilege in find_fault(saved)
    assert "" == find_fault(saved, saved)


KEYS = st.sampled_from(["name", "type", "path", "hostPath", "add", "runAsUser", "x"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
OBJECTS = st.dictionaries(KEYS, SCALARS | st.dictionaries(KEYS, SCALARS, max_size=2), max_size=3)
JSON_VALUES = SCALARS | OBJECTS | st.lists(SCALARS | OBJECTS, max_size=3)


@settings(max_examples=scale_examples(200), deadline=None)
@given(st.data())
def test_any_content(data: st.DataObject) -> None:
    """A part of any type is a fault, and never an error."""
    saved: Any = deepcopy(render(HARDENED))
    part = saved
    path = data.draw(
        st.sampled_from(
            [
                ("metadata",),
                ("spec",),
                ("spec", "containers"),
                ("spec", "securityContext"),
                ("spec", "tolerations"),
                ("spec", "volumes"),
                ("metadata", "labels"),
                ("metadata", "annotations"),
            ]
        )
    )
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = data.draw(JSON_VALUES)

    assert isinstance(find_fault(saved), str)


@settings(max_examples=scale_examples(100), deadline=None)
@given(specs())
def test_the_present_template_itself(spec: Json) -> None:
    """What any spec of a Deployment renders may run."""
    template = render({**spec, "restartPolicy": "Always"})

    assert "" == find_fault(template, template)


def has_ten_digits(monkeypatch: pytest.MonkeyPatch) -> Json:
    """Another template with the digits of a revision, as two hours of search on one CPU find it."""
    monkeypatch.setattr(template_check, "template_revision", lambda _: "0123456789")
    return render({**SPEC, "image": "evil:v1"})


def test_another_template_with_the_same_ten_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status has the whole hash of the one that was saved."""
    forged, digest = has_ten_digits(monkeypatch), template_digest(render(SPEC))

    assert "" == find_template_fault(forged, "0123456789", render(SPEC))
    assert "its content is not the one that was saved" == find_template_fault(
        forged, "0123456789", render(SPEC), digest
    )
    assert "" == find_template_fault(forged, "0123456789", render(SPEC), template_digest(forged))


SOURCES: dict[str, Json] = {
    "the Secret db": {
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]
    },
    "the Secret all": {"envFrom": [{"secretRef": {"name": "all"}}]},
    "the Secret pull": {"imagePullSecrets": [{"name": "pull"}]},
    "the Secret tls": {"volumes": [{"name": "v", "secret": {"secretName": "tls"}}]},
    "the Secret part": {
        "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "part"}}]}}]
    },
    "the Secret init": {
        "initContainers": [
            {"name": "i", "image": "i", "envFrom": [{"secretRef": {"name": "init"}}]}
        ]
    },
    'the volume source serviceAccountToken {"path":"t"}': {
        "volumes": [
            {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
        ]
    },
    "the claim data": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]},
    'the volume source csi {"driver":"d"}': {"volumes": [{"name": "v", "csi": {"driver": "d"}}]},
}


@pytest.mark.parametrize(("source", "fields"), SOURCES.items(), ids=SOURCES.keys())
def test_a_secret_or_volume_needs_the_whole_hash(source: str, fields: Json) -> None:
    """Without it nobody knows whether the app's owner has ever asked for it."""
    saved = render({**SPEC, **fields})

    assert f"the spec no longer asks for {source}" == find_fault(saved, render(SPEC))
    assert "" == find_fault(saved, saved)
    assert "" == find_template_fault(
        saved, template_revision(saved), render(SPEC), template_digest(saved)
    )


def test_what_gives_no_data_of_others() -> None:
    """The text of a ConfigMap is for everybody in the namespace."""
    fields = {
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "volumes": [
            {"name": "a", "configMap": {"name": "c"}},
            {"name": "b", "emptyDir": {}},
            {"name": "c", "projected": {"sources": [{"configMap": {"name": "c"}}]}},
        ],
    }

    assert "" == find_fault(render({**SPEC, **fields}), render(SPEC))
