"""All views of one app at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from selfhealing.api.config_refs import ConfigRef
from selfhealing.cache.event_views import ContainerKillEvent, PodWarning, ProbeFailure
from selfhealing.cache.network_views import IngressView, RouteView, ServiceView
from selfhealing.cache.views import (
    AppView,
    ChildView,
    DeploymentView,
    ForeignPod,
    HpaView,
    JobView,
    PdbView,
    PodView,
    VpaView,
)


@dataclass(frozen=True, slots=True)
class AppSnapshot:
    """One app with its children, pods and container kills.

    Attributes:
        app: the SelfHealingApp.
        children: the objects with the app's name, by kind, also those that another owner has.
        pods: the pods that a chain of controllers leads to the app (``cache.ownership``), sorted
            by name.
        kill_events: the kills of containers of ``pods`` and ``deleted_pods``.
        probe_failures: the failures of the probes of ``pods``.
        pod_warnings: the Events that say why one of ``pods`` cannot start or go on.
        ready_losses: by the UID of a pod when it stopped being ready without a restart, the last
            MAX_READY_LOSSES times that this process has seen.
        deleted_pods: deleted pods whose restarts are not yet counted in the status.
        foreign_pods: the oldest of the other pods that carry the app's label, at most
            MAX_FOREIGN_PODS. One may be foreign only until the cache knows its ReplicaSet.
        foreign_pod_count: the number of these pods.
        config_digests: the digest of each ConfigMap and Secret whose change replaces the pods;
            ABSENT_DIGEST for one that does not exist, UNREAD_DIGEST for one that cannot be read.
        unwatched_kinds: the kinds, ConfigMap and Secret, of which the pods read an object but the
            operator watches none, so that a change does not replace the pods.
        has_too_many_references: the pods read so many objects that none is followed.
    """

    app: AppView
    children: Mapping[str, ChildView] = field(default_factory=dict)
    pods: tuple[PodView, ...] = ()
    kill_events: tuple[ContainerKillEvent, ...] = ()
    probe_failures: tuple[ProbeFailure, ...] = ()
    pod_warnings: tuple[PodWarning, ...] = ()
    ready_losses: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    deleted_pods: tuple[PodView, ...] = ()
    foreign_pods: tuple[ForeignPod, ...] = ()
    foreign_pod_count: int = 0
    config_digests: Mapping[ConfigRef, str] = field(default_factory=dict)
    unwatched_kinds: frozenset[str] = frozenset()
    has_too_many_references: bool = False

    @property
    def deployment(self) -> DeploymentView | None:
        """The Deployment that the app owns, or None."""
        child = self._owned_child("Deployment")
        return child if isinstance(child, DeploymentView) else None

    @property
    def job(self) -> JobView | None:
        """The Job that the app owns, or None."""
        child = self._owned_child("Job")
        return child if isinstance(child, JobView) else None

    @property
    def service(self) -> ServiceView | None:
        """The Service that the app owns, or None."""
        child = self._owned_child("Service")
        return child if isinstance(child, ServiceView) else None

    @property
    def ingress(self) -> IngressView | None:
        """The Ingress that the app owns, or None."""
        child = self._owned_child("Ingress")
        return child if isinstance(child, IngressView) else None

    @property
    def route(self) -> RouteView | None:
        """The HTTPRoute that the app owns, or None."""
        child = self._owned_child("HTTPRoute")
        return child if isinstance(child, RouteView) else None

    @property
    def hpa(self) -> HpaView | None:
        """The HorizontalPodAutoscaler that the app owns, or None."""
        child = self._owned_child("HorizontalPodAutoscaler")
        return child if isinstance(child, HpaView) else None

    @property
    def pdb(self) -> PdbView | None:
        """The PodDisruptionBudget that the app owns, or None."""
        child = self._owned_child("PodDisruptionBudget")
        return child if isinstance(child, PdbView) else None

    @property
    def vpa(self) -> VpaView | None:
        """The VerticalPodAutoscaler that the app owns, or None."""
        child = self._owned_child("VerticalPodAutoscaler")
        return child if isinstance(child, VpaView) else None

    def _owned_child(self, kind: str) -> ChildView | None:
        child = self.children.get(kind)
        return child if child is not None and child.owner_uid == self.app.uid else None
