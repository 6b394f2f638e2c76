"""What happens to a simulated app, whatever its operator does."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from selfhealing.remediation.policy import HealingMode
from tests.unit.remediation.sim_cluster import FAULTS, NODES, SimCluster
from tests.unit.remediation.sim_operator import SimApp

IMAGES: Final = ("v1", "v2", "v3")


class ClusterEvents(RuleBasedStateMachine):
    """Rules of a state machine: what the cluster and people do."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = SimCluster()
        self.app = SimApp()

    # The cluster.

    def run_cluster(self, pause: int) -> None:
        """Let time pass in the cluster."""
        self.cluster.clock += pause
        self.cluster.run_controllers()

    @rule(pause=st.sampled_from([0, 1, 10, 31, 61, 130, 301, 601, 1801, 3700]))
    def time_passes(self, pause: int) -> None:
        """Time passes without a reconcile."""
        self.run_cluster(pause)

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data(), fault=st.sampled_from(["", *FAULTS]))
    def a_pod_changes(self, data: st.DataObject, fault: str) -> None:
        """A single pod gets a fault, or recovers."""
        uid = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        self.cluster.pods[uid].own_fault = fault
        self.run_cluster(0)

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data())
    def pod_ignores_resize(self, data: st.DataObject) -> None:
        """A pod that runs out of memory does not apply a new limit."""
        uid = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        self.cluster.pods[uid].ignores_resize = True

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data())
    def a_pod_is_deleted(self, data: st.DataObject) -> None:
        """A person deletes a pod."""
        uid = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        self.cluster.pods[uid].deleted_at = self.cluster.clock
        self.run_cluster(0)

    @rule(image=st.sampled_from(IMAGES), fault=st.sampled_from(["", *FAULTS]))
    def a_version_changes(self, image: str, fault: str) -> None:
        """A healthy revision becomes faulty, or the other way round."""
        self.cluster.image_faults[image] = fault
        self.run_cluster(0)

    @rule(fault=st.sampled_from(["", "crash", "hang"]))
    def all_versions_change(self, fault: str) -> None:
        """A dependency of all revisions is lost, or comes back."""
        self.cluster.image_faults.update(dict.fromkeys(IMAGES, fault))
        self.run_cluster(0)

    @rule(node=st.sampled_from(NODES[:-1]), state=st.sampled_from(["", "", "lost", "pull", "hang"]))
    def a_node_changes(self, node: str, state: str) -> None:
        """A node is lost, gives its pods a fault, or recovers."""
        self.cluster.node_faults[node] = state
        self.run_cluster(0)

    @rule(blind=st.booleans())
    def metrics_change(self, *, blind: bool) -> None:
        """The autoscaler loses its metrics, or gets them back."""
        self.cluster.metrics_lost_since = self.cluster.clock if blind else None

    @rule(needs=st.sampled_from(["50Mi", "50Mi", "150Mi", "250Mi", "1Gi"]))
    def needs_change(self, needs: str) -> None:
        """The app needs another amount of memory."""
        self.cluster.needed_memory = needs
        self.run_cluster(0)

    @rule(is_paused=st.booleans(), has_budget=st.booleans())
    def rollout_or_budget_changes(self, *, is_paused: bool, has_budget: bool) -> None:
        """A person pauses the Deployment, creates a PodDisruptionBudget, or reverts that."""
        self.cluster.is_paused, self.cluster.has_disruption_budget = is_paused, has_budget
        self.cluster.next_resource_version()
        self.run_cluster(0)

    # People.

    def mark_edited(self) -> None:
        """The resource has changed; the operator's cache gets the change later."""
        self.app.resource_version = self.cluster.next_resource_version()

    @rule(image=st.sampled_from(IMAGES), fault=st.sampled_from(["", "", *FAULTS]))
    def spec_asks_for(self, image: str, fault: str) -> None:
        """The spec asks for another revision, which may be faulty."""
        self.cluster.image_faults[image] = fault
        self.app.generation += image != self.app.image
        self.app.image = image
        self.mark_edited()

    @rule(
        mode=st.sampled_from(
            [
                HealingMode.AUTO,
                HealingMode.AUTO,
                HealingMode.AUTO,
                HealingMode.APPROVE,
                HealingMode.OBSERVE,
                HealingMode.OFF,
            ]
        )
    )
    def mode_changes(self, mode: str) -> None:
        """A person sets another mode."""
        self.app.healing = {**self.app.healing, "mode": mode}
        self.mark_edited()

    @rule()
    def somebody_resumes(self) -> None:
        """A person resumes healing."""
        self.app.resume = f"{self.cluster.next_resource_version()}"
        self.mark_edited()

    @rule(offset=st.sampled_from([-1, -1, -1, -2, 0]))
    def somebody_approves(self, offset: int) -> None:
        """A person approves the last proposal, an older one, or a future id."""
        self.app.approve = str(self.app.record.next_id + offset)
        self.mark_edited()
