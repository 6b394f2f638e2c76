"""Everything that is known of one app at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from selfhealing.api.config_refs import ConfigRef
from selfhealing.cache.views import (
    AppView,
    ChildView,
    ContainerKillEvent,
    DeploymentView,
    HpaView,
    JobView,
    PdbView,
    PodView,
    ServiceView,
    VpaView,
)


@dataclass(frozen=True, slots=True)
class AppSnapshot:
    """One app, its children by kind, its pods and the probe kills of their containers.

    ``departed``: pods that are gone, but whose restarts may not be accounted for yet; ``config``:
    the digest of each ConfigMap and Secret that is followed, ABSENT for one that is not there.
    """

    app: AppView
    children: Mapping[str, ChildView] = field(default_factory=dict)
    pods: tuple[PodView, ...] = ()
    kill_events: tuple[ContainerKillEvent, ...] = ()
    deleted_pods: tuple[PodView, ...] = ()
    config_digests: Mapping[ConfigRef, str] = field(default_factory=dict)

    @property
    def deployment(self) -> DeploymentView | None:
        """The app's Deployment, if there is one that belongs to it."""
        child = self._owned_child("Deployment")
        return child if isinstance(child, DeploymentView) else None

    @property
    def job(self) -> JobView | None:
        """The app's Job, if there is one that belongs to it."""
        child = self._owned_child("Job")
        return child if isinstance(child, JobView) else None

    @property
    def service(self) -> ServiceView | None:
        """The app's Service, if there is one that belongs to it."""
        child = self._owned_child("Service")
        return child if isinstance(child, ServiceView) else None

    @property
    def hpa(self) -> HpaView | None:
        """The app's HorizontalPodAutoscaler, if there is one that belongs to it."""
        child = self._owned_child("HorizontalPodAutoscaler")
        return child if isinstance(child, HpaView) else None

    @property
    def pdb(self) -> PdbView | None:
        """The app's PodDisruptionBudget, if there is one that belongs to it."""
        child = self._owned_child("PodDisruptionBudget")
        return child if isinstance(child, PdbView) else None

    @property
    def vpa(self) -> VpaView | None:
        """The app's VerticalPodAutoscaler, if there is one that belongs to it."""
        child = self._owned_child("VerticalPodAutoscaler")
        return child if isinstance(child, VpaView) else None

    def _owned_child(self, kind: str) -> ChildView | None:
        child = self.children.get(kind)
        return child if child is not None and child.owner_uid == self.app.uid else None
