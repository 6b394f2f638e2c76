"""What the cluster's own words prove; the texts are from Kubernetes 1.36, containerd 2 and runc."""

import pytest
from hypothesis import given, strategies as st

from selfhealing.health.fault_origin import FaultOrigin, FaultSource, classify_fault
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.template_change import Reference

CONTENT, ENVIRONMENT, NOTHING = FaultOrigin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FaultSource(NOTHING)),
        ("back-off 10s restarting failed container", FaultSource(NOTHING)),
        (
            'container has runAsNonRoot and image will run as root (pod: "web-1", container: app)',
            FaultSource(CONTENT),
        ),
        ("failed to generate spec: no command specified", FaultSource(CONTENT)),
        ("unable to find user web: no matching entries in passwd file", FaultSource(CONTENT)),
        ("container init was OOM-killed (memory limit too low?)", FaultSource(NOTHING)),
        ("unable to apply cgroup configuration: mkdir /sys/fs/cgroup: x", FaultSource(ENVIRONMENT)),
        ("failed to sync configmap cache: timed out waiting", FaultSource(ENVIRONMENT)),
        (
            'MountVolume.SetUp failed for volume "nfs" : mount failed: exit status 32',
            FaultSource(ENVIRONMENT, volume="nfs"),
        ),
        (
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[]",
            FaultSource(ENVIRONMENT, volume="data"),
        ),
        (
            'MountVolume.SetUp failed for volume "c" : configmap "settings" not found',
            FaultSource(CONTENT, reference=Reference("ConfigMap", "settings")),
        ),
        (
            'MountVolume.SetUp failed for volume "c" : references non-existent config key: a.yaml',
            FaultSource(CONTENT, reference=Reference("ConfigMap", "", "a.yaml")),
        ),
        (
            "references non-existent secret key: tls.key",
            FaultSource(CONTENT, reference=Reference("Secret", "", "tls.key")),
        ),
        (
            "couldn't find key url in ConfigMap shop/settings",
            FaultSource(CONTENT, reference=Reference("ConfigMap", "settings", "url")),
        ),
        (
            'secrets "db" not found',
            FaultSource(CONTENT, reference=Reference("Secret", "db")),
        ),
        ('Back-off pulling image "web:v2"', FaultSource(NOTHING, is_image=True)),
        (
            'failed to pull image "web:v2": web:v2: not found',
            FaultSource(CONTENT, is_image=True),
        ),
    ],
)
def test_text(text: str, expected: FaultSource) -> None:
    """The first known words count, and names do not."""
    assert expected == classify_fault(DiagnosisType.START_FAILING, text)


@given(st.sampled_from(["timeout", "no space left", "x509", "cni"]))
def test_a_name_is_no_cause(name: str) -> None:
    """A command may be called like an error."""
    text = f'exec: "/opt/{name}/run": stat /opt/{name}/run: no such file or directory: unknown'

    assert CONTENT is classify_fault(DiagnosisType.START_FAILING, text).origin


def test_the_answer_to_a_probe() -> None:
    """It is about the app, not about its surroundings."""
    text = "Readiness probe failed: dial tcp 10.0.0.7:8080: connect: connection refused"

    for kind in (DiagnosisType.NOT_READY_TOO_LONG, DiagnosisType.LIVENESS_KILLED):
        assert NOTHING is classify_fault(kind, text).origin


@given(st.sampled_from(DiagnosisType), st.text(max_size=200))
def test_any_text(diagnosis_type: DiagnosisType, text: str) -> None:
    """Whatever it is, it has an origin."""
    assert classify_fault(diagnosis_type, text).origin in FaultOrigin


def test_the_same_words_are_read_once() -> None:
    """Each attribution, and each reconcile, asks for them again."""
    classify_fault.cache_clear()
    texts = [f'configmap "settings-{number}" not found' for number in range(3)] * 4

    for text in texts:
        classify_fault(DiagnosisType.CONFIG_ERROR, text)

    assert 3 == classify_fault.cache_info().misses
