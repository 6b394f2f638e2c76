"""The state of a namespace at one moment, as ``kubectl get`` shows it."""

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
"""The reasons of the Events that are shown, by the kind of the involved object."""


@dataclass(frozen=True, slots=True)
class PodRow:
    """A pod as in ``kubectl get pods``, and whether a Service sends requests to it."""

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
        """Whether all containers are ready and the pod is not terminating."""
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
    """A SelfHealingApp: its row in ``kubectl get selfhealingapps`` and its status."""

    name: str = ""
    row: tuple[str, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """The apps, pods and Events of a namespace at one moment.

    Attributes:
        columns: the column names of ``kubectl get selfhealingapps``.
        apps: the apps, by name.
        pods: their pods, the oldest first.
        events: the Events that are shown, the oldest first.
    """

    columns: tuple[str, ...] = ()
    apps: tuple[AppRow, ...] = ()
    pods: tuple[PodRow, ...] = ()
    events: tuple[EventRow, ...] = ()

    @property
    def app(self) -> AppRow:
        """The first app; an empty row without apps."""
        return self.apps[0] if self.apps else AppRow()

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of the first app."""
        return self.app.row

    @property
    def status(self) -> Mapping[str, Any]:
        """The status of the first app."""
        return self.app.status

    @property
    def phase(self) -> str:
        """The phase of the first app; empty without a status."""
        return str(self.status.get("phase", ""))

    @property
    def is_ready(self) -> bool:
        """Whether the Ready condition of the first app is True."""
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in self.status.get("conditions", ())
        )

    @property
    def remaining_pods(self) -> tuple[PodRow, ...]:
        """The pods that are not terminating."""
        return tuple(pod for pod in self.pods if not pod.is_terminating)

    def find_pod(self, uid: str) -> PodRow | None:
        """Return the pod with this UID, or None."""
        return next((pod for pod in self.pods if pod.uid == uid), None)

    def count_restarts(self, reason: str = "") -> int:
        """Return the restarts in the status of the first app, in total or for one reason."""
        block = self.status.get("restarts", {})
        return int(block.get("byReason", {}).get(reason, 0) if reason else block.get("total", 0))

    def count_events(self, reason: str) -> int:
        """Count the Events with this reason."""
        return sum(event.reason == reason for event in self.events)


def read_cluster_state(kube: KubeClient, app: str = "") -> ClusterSnapshot:
    """Read the state of the client's namespace, of one app or of all apps.

    Raises:
        ApiError: the API server refuses a request or does not answer.
    """
    apps = kube.get_path(_APPS_PATH, table=True)
    pods = kube.get_path("/api/v1/namespaces/{ns}/pods", table=True)
    slices = kube.get_path("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices")
    events = kube.get_path("/api/v1/namespaces/{ns}/events")
    return parse_cluster_state(apps or {}, pods or {}, slices or {}, events or {}, app)


def parse_cluster_state(
    apps: Json, pods: Json, slices: Json, events: Json, app: str = ""
) -> ClusterSnapshot:
    """Build a snapshot from the responses of the API server."""
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
    """Return the columns that kubectl shows without ``-o wide``, and each row with its object."""
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
    """Return the UIDs of the pods to which a Service sends requests."""
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
