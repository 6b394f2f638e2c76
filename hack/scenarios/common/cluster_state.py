"""One look at the cluster: what ``kubectl get`` would print now, as a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hack.testkit.kube_client import Json, KubeClient

_APPS_PATH = "/apis/selfhealing.dev/v1alpha1/namespaces/{ns}/selfhealingapps"
_SHOWN_EVENTS = {
    "SelfHealingApp": frozenset[str](),  # all of them
    "Pod": frozenset({"Unhealthy", "Killing", "BackOff", "Failed"}),
    "HorizontalPodAutoscaler": frozenset({"SuccessfulRescale"}),
}
"""The Events that are part of the story, by the kind that they are about."""


@dataclass(frozen=True, slots=True)
class PodRow:
    """A pod as ``kubectl get pods`` shows it, and whether the Service sends it requests."""

    name: str
    uid: str
    ready: str
    status: str
    restarts: int
    age: str
    is_serving: bool
    is_terminating: bool
    app: str = ""
    node: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether all of its containers are ready and it stays."""
        have, _, want = self.ready.partition("/")
        return have == want and not self.is_terminating


@dataclass(frozen=True, slots=True)
class EventRow:
    """A Kubernetes Event."""

    at: datetime
    is_warning: bool
    involved_kind: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class AppRow:
    """A SelfHealingApp: its line in ``kubectl get selfhealingapps`` and its status block."""

    name: str = ""
    row: tuple[str, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """What there is at one moment.

    Attributes:
        columns: the head of ``kubectl get selfhealingapps``.
        apps: the apps, in the order of their names.
        pods: their pods, the oldest first.
        events: what happened, the oldest first.
    """

    columns: tuple[str, ...] = ()
    apps: tuple[AppRow, ...] = ()
    pods: tuple[PodRow, ...] = ()
    events: tuple[EventRow, ...] = ()

    @property
    def app(self) -> AppRow:
        """The first app; an empty one when there is none."""
        return self.apps[0] if self.apps else AppRow()

    @property
    def row(self) -> tuple[str, ...]:
        """The first app's line."""
        return self.app.row

    @property
    def status(self) -> Mapping[str, Any]:
        """The first app's status block."""
        return self.app.status

    @property
    def phase(self) -> str:
        """The app in one word."""
        return str(self.status.get("phase", ""))

    @property
    def is_ready(self) -> bool:
        """Whether the app's Ready condition is true."""
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in self.status.get("conditions", ())
        )

    @property
    def remaining_pods(self) -> tuple[PodRow, ...]:
        """The pods that are not about to go."""
        return tuple(pod for pod in self.pods if not pod.is_terminating)

    def find_pod(self, uid: str) -> PodRow | None:
        """The pod with this UID."""
        return next((pod for pod in self.pods if pod.uid == uid), None)

    def count_restarts(self, reason: str = "") -> int:
        """Restarts that the app's status counts, in all or for one reason."""
        block = self.status.get("restarts", {})
        return int(block.get("byReason", {}).get(reason, 0) if reason else block.get("total", 0))

    def count_events(self, reason: str) -> int:
        """How many Events of this reason there are."""
        return sum(event.reason == reason for event in self.events)


def read_cluster_state(kube: KubeClient, app: str = "") -> ClusterSnapshot:
    """Look at an app, or at all of the namespace: pods, Services' endpoints, Events."""
    apps = kube.get_path(_APPS_PATH, table=True)
    pods = kube.get_path("/api/v1/namespaces/{ns}/pods", table=True)
    slices = kube.get_path("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices")
    events = kube.get_path("/api/v1/namespaces/{ns}/events")
    return parse_cluster_state(apps or {}, pods or {}, slices or {}, events or {}, app)


def parse_cluster_state(
    apps: Json, pods: Json, slices: Json, events: Json, app: str = ""
) -> ClusterSnapshot:
    """Put the answers of the API server together."""
    columns, rows = _parse_table(apps)
    shown = [(raw["metadata"]["name"], row, raw.get("status", {})) for row, raw in rows]
    serving_uids = _serving_pod_uids(slices)
    pod_columns, pod_rows = _parse_table(pods)
    found = [
        _parse_pod(dict(zip(pod_columns, cells, strict=True)), raw, serving_uids)
        for cells, raw in pod_rows
    ]
    creation_times = {
        raw["metadata"]["uid"]: raw["metadata"]["creationTimestamp"] for _, raw in pod_rows
    }
    event_rows = [_parse_event(raw) for raw in events.get("items", ()) if _is_shown(raw)]
    return ClusterSnapshot(
        columns=columns,
        apps=tuple(
            AppRow(*found)
            for found in sorted(shown, key=lambda found: found[0])
            if not app or found[0] == app
        ),
        pods=tuple(sorted(found, key=lambda pod: (creation_times[pod.uid], pod.name))),
        events=tuple(sorted(event_rows, key=lambda event: event.at)),
    )


def _parse_table(table: Json) -> tuple[tuple[str, ...], list[tuple[tuple[str, ...], Json]]]:
    """The columns that kubectl shows without ``-o wide``, and each row with its object."""
    shown = [
        (index, column["name"].upper())
        for index, column in enumerate(table.get("columnDefinitions", ()))
        if column.get("priority", 0) == 0
    ]
    rows = [
        (tuple(_format_cell(row["cells"][index]) for index, _ in shown), row["object"])
        for row in table.get("rows") or ()
    ]
    return tuple(name for _, name in shown), rows


def _format_cell(value: object) -> str:
    return "" if value is None else str(value)


def _serving_pod_uids(slices: Json) -> frozenset[str]:
    """The UIDs of the pods that the Service sends requests to."""
    return frozenset(
        endpoint["targetRef"]["uid"]
        for found in slices.get("items", ())
        for endpoint in found.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready") and "targetRef" in endpoint
    )


def _parse_pod(cells: Mapping[str, str], raw: Json, serving: frozenset[str]) -> PodRow:
    uid = raw["metadata"]["uid"]
    return PodRow(
        name=raw["metadata"]["name"],
        uid=uid,
        ready=cells["READY"],
        status=cells["STATUS"],
        restarts=int(cells["RESTARTS"].split()[0]),  # "1 (5s ago)"
        age=cells["AGE"],
        is_serving=uid in serving,
        is_terminating="deletionTimestamp" in raw["metadata"],
        app=raw["metadata"].get("labels", {}).get("app", ""),
        node=raw.get("spec", {}).get("nodeName", ""),
    )


def _is_shown(raw: Json) -> bool:
    reasons = _SHOWN_EVENTS.get(raw["involvedObject"].get("kind", ""))
    return reasons is not None and (not reasons or raw.get("reason") in reasons)


def _parse_event(raw: Json) -> EventRow:
    at = (
        (raw.get("series") or {}).get("lastObservedTime")
        or raw.get("lastTimestamp")
        or raw.get("eventTime")
        or raw["metadata"]["creationTimestamp"]
    )
    involved = raw["involvedObject"]
    return EventRow(
        at=datetime.fromisoformat(at),
        is_warning=raw.get("type") == "Warning",
        involved_kind=str(involved["kind"]).replace("HorizontalPodAutoscaler", "Autoscaler"),
        reason=raw.get("reason", ""),
        text=" ".join((raw.get("message") or "").split()),
    )
