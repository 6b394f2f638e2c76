"""The advice on specs."""

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.plugin.view.lint import Advice, format_advice, lint_spec
from selfhealing.plugin.view.text import to_plain_text
from tests.unit.plugin.golden import check_golden

GOOD = {
    "image": "registry.example/web:v1",
    "port": 5000,
    "replicas": 2,
    "resources": {
        "requests": {"cpu": "100m", "memory": "100Mi"},
        "limits": {"memory": "150Mi"},
    },
    "probes": {
        "liveness": {"httpGet": {"path": "/healthz"}},
        "readiness": {"httpGet": {"path": "/readyz"}},
        "startup": {"httpGet": {"path": "/healthz"}},
    },
    "securityContext": {"runAsNonRoot": True},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
}


def lint(**changes: object) -> dict[str, Advice]:
    """Return the advice on the good spec with changes; None removes a field."""
    spec = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return {advice.rule: advice for advice in lint_spec(parse_spec(spec))}


def test_a_good_spec_needs_no_advice() -> None:
    assert {} == lint()


PROBE = {"httpGet": {"path": "/"}}
CASES: dict[str, dict[str, object]] = {
    "image-tag": {"image": "registry.example:5000/web"},
    "requests": {"resources": {"limits": {"memory": "1Gi"}}},
    "memory-limit": {"resources": {"requests": {"cpu": 1, "memory": "1Gi"}}},
    "memory-overcommit": {
        "resources": {"requests": {"cpu": 1, "memory": "1Mi"}, "limits": {"memory": "1Gi"}}
    },
    "run-as-non-root": {"securityContext": None},
    "readiness-probe": {"probes": {"liveness": PROBE, "startup": PROBE}},
    "liveness-probe": {"probes": {"readiness": PROBE}},
    "liveness-is-readiness": {"probes": {"liveness": PROBE, "readiness": PROBE, "startup": PROBE}},
    "startup-probe": {"probes": {"liveness": PROBE, "readiness": {"tcpSocket": {}}}},
    "single-pod": {"replicas": 1},
    "spread": {"topologySpreadConstraints": None},
    "recreate": {"rollout": {"strategy": {"type": "Recreate"}}},
    "autoscaling-request": {
        "autoscaling": {
            "minReplicas": 2,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
        },
        "resources": {"requests": {"memory": "100Mi"}, "limits": {"memory": "100Mi"}},
    },
    "autoscaling-range": {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}},
    "disruption-budget": {"disruption": {"enabled": False}},
    "disruption-blocked": {"disruption": {"minAvailable": 2}},
    "healing-off": {"healing": {"mode": "Off"}},
    "healing-rollback": {"healing": {"rollback": {"enabled": False}}},
    "job-deadline": {"restartPolicy": "Never", "port": None, "probes": None, "replicas": None},
}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_finds_its_case(rule: str) -> None:
    found = lint(**CASES[rule])

    assert rule in found
    assert found[rule].text
    assert found[rule].source


FINE: dict[str, dict[str, object]] = {
    "a digest": {"image": f"web@sha256:{'a' * 64}"},
    "no port": {
        "port": None,
        "probes": {"liveness": PROBE, "startup": PROBE},
    },
    "patience without a startup probe": {
        "probes": {
            "liveness": {**PROBE, "initialDelaySeconds": 40},
            "readiness": {"tcpSocket": {}},
        }
    },
    "a budget that lets one go": {"disruption": {"minAvailable": "50%"}},
    "rolling updates": {"rollout": {"strategy": {"type": "RollingUpdate"}}},
    "no rollout strategy": {"rollout": {"minReadySeconds": 3}},
    "an affinity": {"topologySpreadConstraints": None, "affinity": {}},
    "autoscaling": {"autoscaling": {"minReplicas": 2, "maxReplicas": 3}},
    "a job with a deadline": {
        "restartPolicy": "Never",
        "port": None,
        "probes": None,
        "replicas": None,
        "topologySpreadConstraints": None,
        "job": {"activeDeadlineSeconds": 60},
    },
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine_gets_no_advice(name: str) -> None:
    assert {} == lint(**FINE[name])


def test_warnings_come_first_and_each_has_a_source() -> None:
    advice = lint_spec(parse_spec({"image": "web", "port": 5000}))

    check_golden("lint", to_plain_text(format_advice("shop/web", advice)))
    check_golden("lint, good", to_plain_text(format_advice("shop/web", ())))
