"""The sections of the status, and small texts."""

from typing import Any

import pytest

from selfhealing.api.status import MAX_METRICS
from selfhealing.status.sections import join_clauses, join_words, pluralize
from tests.unit.builders import evicted_pod, hpa, iso, pdb, pod, running, service
from tests.unit.snapshots import Json, evaluate_app, status_json

INGRESS_IP = [{"ip": "192.0.2.7"}]
INGRESS_NAME = [{"hostname": "web.example.com", "ip": "192.0.2.7"}]


class TestProbes:
    """A probe in a line."""

    @pytest.mark.parametrize(
        ("probe", "expected"),
        [
            (
                {"httpGet": {"path": "/health"}, "periodSeconds": 5},
                "http GET :5000/health every 5s, 3 failures",
            ),
            (
                {
                    "httpGet": {"port": "admin", "scheme": "HTTPS", "host": "10.0.0.1"},
                    "failureThreshold": 1,
                },
                "https GET 10.0.0.1:admin/ every 10s, 1 failure",
            ),
            (
                {"httpGet": {"path": ""}, "periodSeconds": 0},
                "http GET :5000/ every 10s, 3 failures",
            ),
            ({"tcpSocket": {}}, "tcp :5000 every 10s, 3 failures"),
            ({"grpc": {}}, "grpc :5000 every 10s, 3 failures"),
            ({"grpc": {"port": 1, "service": "live"}}, "grpc :1 live every 10s, 3 failures"),
            (
                {"exec": {"command": ["curl", "-f", "localhost"]}},
                "exec curl -f localhost every 10s, 3 failures",
            ),
            ({"exec": {}}, "exec every 10s, 3 failures"),
            (
                {"exec": {"command": ["x" * 200]}},
                f"exec {'x' * 94}… every 10s, 3 failures",
            ),
        ],
    )
    def test_each_handler(self, probe: Json, expected: str) -> None:
        """The handler, the period and the failure threshold."""
        spec = {"image": "web:v1", "port": 5000, "probes": {"liveness": probe}}

        assert {"liveness": expected} == status_json(evaluate_app(spec=spec))["probes"]

    def test_all_three(self) -> None:
        """Each probe has its own field."""
        probe: Json = {"tcpSocket": {}}
        spec = {
            "image": "web:v1",
            "port": 80,
            "probes": {"liveness": probe, "readiness": probe, "startup": probe},
        }

        assert ["liveness", "readiness", "startup"] == list(
            status_json(evaluate_app(spec=spec))["probes"]
        )

    @pytest.mark.parametrize("spec", [{"image": "web:v1"}, {"image": "web:v1", "probes": {}}])
    def test_none(self, spec: Json) -> None:
        """Without probes there is no section."""
        assert "probes" not in status_json(evaluate_app(spec=spec))


class TestEndpoint:
    """The URL of the app."""

    def find_endpoint(self, *objects: Json, before: str | None = None) -> str | None:
        """The endpoint, with the previous one."""
        stored = {"endpoint": before} if before else {}
        return evaluate_app(*objects, previous_status=stored).status.endpoint

    @pytest.mark.parametrize(
        ("thing", "expected"),
        [
            (service(), "http://web.shop.svc:80"),
            (service("NodePort", node_port=30080), "http://web.shop.svc:80"),
            (service("LoadBalancer", ingress=INGRESS_IP), "http://192.0.2.7:80"),
            (service("LoadBalancer", ingress=INGRESS_NAME), "http://web.example.com:80"),
            (service("LoadBalancer", ingress=[{"ip": "2001:db8::7"}]), "http://[2001:db8::7]:80"),
            (service("LoadBalancer", ingress=[{}]), "http://web.shop.svc:80"),
            (service(deletionTimestamp=iso(0)), None),
            (service(protocol="UDP"), None),
            (service(owner="somebody else"), None),
        ],
    )
    def test_by_type(self, thing: Json, expected: str | None) -> None:
        """An external URL if there is one, else the DNS name."""
        assert expected == self.find_endpoint(thing)

    def test_no_service(self) -> None:
        """There is no URL."""
        assert None is self.find_endpoint()

    def test_a_node(self) -> None:
        """The node port, on a node that has a pod."""
        port = service("NodePort", node_port=30080)
        pods = [pod("web-abc-1", running(), node="node-2"), pod("web-abc-2", running())]

        assert "http://10.0.0.1:30080" == self.find_endpoint(port, *pods)

    def test_the_node_stays(self) -> None:
        """The URL does not change with another pod, or with an unready one."""
        port = service("NodePort", node_port=30080)
        pods = [pod("web-abc-1", running(ready=False), node="node-2"), pod("web-abc-2", running())]

        assert "http://10.0.0.2:30080" == self.find_endpoint(
            port, *pods, before="http://10.0.0.2:30080"
        )

    def test_the_node_is_left(self) -> None:
        """The URL changes when its node has no active pod."""
        port = service("NodePort", node_port=30080)
        gone = evicted_pod("web-abc-1")
        gone["status"]["hostIP"] = "10.0.0.2"

        assert "http://10.0.0.1:30080" == self.find_endpoint(
            port, gone, pod("web-abc-2", running()), before="http://10.0.0.2:30080"
        )


class TestDisruption:
    """The PodDisruptionBudget."""

    def disruption_section(self, *objects: Json) -> Json | None:
        """status.disruption."""
        section: Json | None = status_json(evaluate_app(*objects)).get("disruption")
        return section

    def test_none(self) -> None:
        """Without a budget, or with another owner's, there is no section."""
        assert None is self.disruption_section()
        assert None is self.disruption_section(pdb(owner="somebody"))

    def test_values(self) -> None:
        """Why a drain waits: the ready pods, and the pods that must stay."""
        assert {
            "budget": "maxUnavailable 1",
            "allowed": 0,
            "healthy": 1,
            "required": 1,
        } == self.disruption_section(pdb(0, 1, 1))

    def test_not_counted_yet(self) -> None:
        """A new budget has no numbers at first."""
        assert {"budget": "maxUnavailable 1"} == self.disruption_section(pdb(observed=False))


class TestAutoscaling:
    """The autoscaler, without a write for each new value."""

    def autoscaling_section(self, *objects: Json, before: Json | None = None) -> Json | None:
        """status.autoscaling, with the previous one."""
        stored = {"autoscaling": before} if before else {}
        section: Json | None = status_json(evaluate_app(*objects, previous_status=stored)).get(
            "autoscaling"
        )
        return section

    def test_none(self) -> None:
        """Without an autoscaler there is no section."""
        assert None is self.autoscaling_section()

    def test_values(self) -> None:
        """The replicas, and usage and target of each metric."""
        assert {
            "current": 2,
            "desired": 3,
            "min": 1,
            "max": 5,
            "cpu": "31%/50%",
        } == self.autoscaling_section(hpa(2, 3))

    @pytest.mark.parametrize(
        ("shown", "now", "expected"),
        [
            ("31%/50%", 35, "31%/50%"),
            ("31%/50%", 27, "31%/50%"),
            ("31%/50%", 36, "36%/50%"),
            ("31%/60%", 32, "32%/50%"),
            ("unknown/50%", 31, "31%/50%"),
            ("31%/50%", None, "unknown/50%"),
            (None, 31, "31%/50%"),
        ],
    )
    def test_steady(self, shown: str | None, now: int | None, expected: str) -> None:
        """A value that changed by less than a tenth of the target is not updated."""
        before: dict[str, Any] = {"current": 2} | ({"cpu": shown} if shown else {})
        found = self.autoscaling_section(hpa(cpu=now), before=before)

        assert expected == (found or {}).get("cpu")

    def test_memory(self) -> None:
        """Quantities are compared as numbers."""
        thing = hpa()
        target = {"type": "AverageValue", "averageValue": "1Gi"}
        thing["spec"]["metrics"] = [
            {"type": "Resource", "resource": {"name": "memory", "target": target}}
        ]
        thing["status"]["currentMetrics"] = [
            {
                "type": "Resource",
                "resource": {"name": "memory", "current": {"averageValue": "500Mi"}},
            }
        ]

        assert (
            "480Mi/1Gi"
            == (self.autoscaling_section(thing, before={"memory": "480Mi/1Gi"}) or {})["memory"]
        )

    @pytest.mark.parametrize(
        ("shown", "now", "expected"),
        [
            (None, "7500m", "7.5/10"),
            (None, "12", "12/10"),
            (None, None, "unknown/10"),
            ("7.5/10", "8400m", "7.5/10"),
            ("7.5/10", "8600m", "8.6/10"),
            ("7.5/9", "7500m", "7.5/10"),
        ],
    )
    def test_metrics_of_the_app(self, shown: str | None, now: str | None, expected: str) -> None:
        """They have their names, no milli-units, and are as steady."""
        thing = hpa()
        metric = {"metric": {"name": "requests"}}
        target = {"type": "AverageValue", "averageValue": "10"}
        thing["spec"]["metrics"].append({"type": "Pods", "pods": {**metric, "target": target}})
        if now:
            pods = {**metric, "current": {"averageValue": now}}
            thing["status"]["currentMetrics"].append({"type": "Pods", "pods": pods})
        before = {"metrics": {"requests": shown}} if shown else None

        found = self.autoscaling_section(thing, before=before) or {}

        assert {"requests": expected} == found["metrics"]
        assert "cpu" in found

    def test_no_more_than_fit(self) -> None:
        """The number of metrics in the status is limited."""
        thing = hpa()
        target = {"type": "AverageValue", "averageValue": "1500m"}
        thing["spec"]["metrics"] = [
            {"type": "Pods", "pods": {"metric": {"name": f"m{number}"}, "target": target}}
            for number in range(MAX_METRICS + 1)
        ]

        found = (self.autoscaling_section(thing) or {})["metrics"]

        assert MAX_METRICS == len(found)
        assert "unknown/1.5" == found["m0"]


class TestTexts:
    """Small texts."""

    def test_pluralize(self) -> None:
        """One thing or several."""
        assert ["0 pods", "1 pod", "2 pods"] == [pluralize(i, "pod") for i in range(3)]

    def test_join_clauses(self) -> None:
        """Empty parts are left out."""
        assert "a; b" == join_clauses("a", "", "b")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
    )
    def test_join_words(self, words: list[str], expected: str) -> None:
        """With commas and a final "and"."""
        assert expected == join_words(words)
