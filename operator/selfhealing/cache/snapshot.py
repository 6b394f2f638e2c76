"""Everything that is known of one app at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from selfhealing.api.config import ConfigRef
from selfhealing.cache.views import (
    AppView,
    AutoscalerView,
    BudgetView,
    ChildView,
    DeploymentView,
    JobView,
    KillView,
    PodView,
    ServiceView,
    VerticalView,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """One app, its children by kind, its pods and the probe kills of their containers.

    ``departed``: pods that are gone, but whose restarts may not be accounted for yet; ``config``:
    the digest of each ConfigMap and Secret that is followed, ABSENT for one that is not there.
    """

    app: AppView
    children: Mapping[str, ChildView] = field(default_factory=dict)
    pods: tuple[PodView, ...] = ()
    kills: tuple[KillView, ...] = ()
    departed: tuple[PodView, ...] = ()
    config: Mapping[ConfigRef, str] = field(default_factory=dict)

    @property
    def deployment(self) -> DeploymentView | None:
        """The app's Deployment, if there is one that belongs to it."""
        child = self._own("Deployment")
        return child if isinstance(child, DeploymentView) else None

    @property
    def job(self) -> JobView | None:
        """The app's Job, if there is one that belongs to it."""
        child = self._own("Job")
        return child if isinstance(child, JobView) else None

    @property
    def service(self) -> ServiceView | None:
        """The app's Service, if there is one that belongs to it."""
        child = self._own("Service")
        return child if isinstance(child, ServiceView) else None

    @property
    def autoscaler(self) -> AutoscalerView | None:
        """The app's HorizontalPodAutoscaler, if there is one that belongs to it."""
        child = self._own("HorizontalPodAutoscaler")
        return child if isinstance(child, AutoscalerView) else None

    @property
    def budget(self) -> BudgetView | None:
        """The app's PodDisruptionBudget, if there is one that belongs to it."""
        child = self._own("PodDisruptionBudget")
        return child if isinstance(child, BudgetView) else None

    @property
    def vertical(self) -> VerticalView | None:
        """The app's VerticalPodAutoscaler, if there is one that belongs to it."""
        child = self._own("VerticalPodAutoscaler")
        return child if isinstance(child, VerticalView) else None

    def _own(self, kind: str) -> ChildView | None:
        child = self.children.get(kind)
        return child if child is not None and child.owned_by == self.app.uid else None
