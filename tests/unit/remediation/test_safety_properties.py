"""The safety envelope against a model of everything that can happen to an app and its operator."""

import os
from datetime import timedelta
from typing import Final

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from selfhealing.api.healing_status import (
    MAX_HISTORY,
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Hold,
    Remedy,
)
from selfhealing.cache.snapshot import Facts
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.remediation.actions import Delete, Evict, Isolate, Resize, Step
from selfhealing.remediation.history import COUNTED
from selfhealing.remediation.memory_limit import larger
from selfhealing.remediation.policy import APPROVE, AUTO, OBSERVE, OFF, policy
from tests.unit import builders
from tests.unit.remediation.sim_cluster import NODES, SICK, Cluster
from tests.unit.remediation.sim_operator import (
    MOST,
    App,
    Json,
    Look,
    Operator,
    read,
    version_of,
    view,
)

EXAMPLES: Final = int(os.environ.get("ENVELOPE_EXAMPLES", "150"))
"""More of them find more: they were thousands when this was written."""

IMAGES: Final = ("v1", "v2", "v3")

PEOPLE: Final = frozenset({Hold.NO_REMEDY, Hold.ROLLOUT_PAUSED, Hold.APPROVAL, Hold.QUARANTINED})
"""What only people can end, or the world."""

UNDER_WAY: Final = frozenset({ActionOutcome.STARTED, ActionOutcome.PROPOSED})

SLACK: Final = 1
"""Times are stored in whole seconds."""


PAUSES: Final = st.sampled_from([31, 61, 301, 601])

LOOKS: Final = 500
"""After so many looks at a world that does not change there must be rest."""

LONG: Final = 10_000


class Envelope(RuleBasedStateMachine):
    """What happens to an app, in any order; each record and each step is held to the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.app = App()
        self.operator = Operator(self.cluster, self.app)
        self.past: list[Facts] = []
        self.elapsed = 0.0
        self.last = 0.0
        self.starts: dict[int, float] = {}
        self.rejected = ""
        self.rollbacks = 0
        self.next_id = 1

    # The world.

    @initialize(
        healing=st.fixed_dictionaries(
            {
                "mode": st.sampled_from([AUTO, AUTO, AUTO, APPROVE, OBSERVE]),
                "budget": st.integers(1, 5),
                "window": st.sampled_from(["10m", "1h", "2h"]),
                "cooldown": st.sampled_from(["0s", "1m", "5m"]),
            }
        ),
        fraction=st.sampled_from([0.0, 0.6]),
        needs=st.sampled_from(["50Mi", "50Mi", "50Mi", "150Mi", "250Mi"]),
        proven=st.booleans(),
    )
    def begin(self, healing: Json, fraction: float, needs: str, *, proven: bool) -> None:
        """An app is made, and has run well for a while, or has just begun."""
        self.app.healing = healing
        self.operator.skew = self.last = fraction
        self.operator.restart()
        self.settle(0)
        for pause in (20, 700, 0) if proven else ():
            self.settle(pause)
            self.looks()
        self.cluster.needs = needs

    def settle(self, pause: int) -> None:
        """Let time pass in the cluster."""
        self.cluster.clock += pause
        self.cluster.settle()

    @rule(pause=st.sampled_from([0, 1, 10, 31, 61, 130, 301, 601, 1801, 3700]))
    def time_passes(self, pause: int) -> None:
        """Time passes, and nobody looks."""
        self.settle(pause)

    @rule(jump=st.sampled_from([-5000, -700, -61, -5, 5, 61, 700, 5000]))
    def the_clock_jumps(self, jump: int) -> None:
        """The clock of the operator's node is set."""
        self.operator.skew += jump

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data(), fault=st.sampled_from(["", *SICK]))
    def a_pod_changes(self, data: st.DataObject, fault: str) -> None:
        """A pod falls ill by itself, or recovers."""
        uid = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        self.cluster.pods[uid].own = fault
        self.settle(0)

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data())
    def a_pod_will_not_listen(self, data: st.DataObject) -> None:
        """A pod that is killed for want of memory does not take up a new limit."""
        uid = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        self.cluster.pods[uid].deaf = True

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data())
    def a_pod_is_deleted(self, data: st.DataObject) -> None:
        """Somebody deletes a pod."""
        uid = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        self.cluster.pods[uid].deleted_at = self.cluster.clock
        self.settle(0)

    @rule(image=st.sampled_from(IMAGES), fault=st.sampled_from(["", *SICK]))
    def a_version_changes(self, image: str, fault: str) -> None:
        """A version that was well is so no longer, or the other way round."""
        self.cluster.versions[image] = fault
        self.settle(0)

    @rule(fault=st.sampled_from(["", "crash", "hang"]))
    def everything_changes(self, fault: str) -> None:
        """What all versions need is lost, or comes back."""
        self.cluster.versions.update(dict.fromkeys(IMAGES, fault))
        self.settle(0)

    @rule(node=st.sampled_from(NODES[:-1]), state=st.sampled_from(["", "", "lost", "pull", "hang"]))
    def a_node_changes(self, node: str, state: str) -> None:
        """A node is lost, or spoils its pods, or is well again."""
        self.cluster.nodes[node] = state
        self.settle(0)

    @rule(blind=st.booleans())
    def metrics_change(self, *, blind: bool) -> None:
        """The autoscaler loses its metrics, or gets them back."""
        self.cluster.blind_since = self.cluster.clock if blind else None

    @rule(needs=st.sampled_from(["50Mi", "50Mi", "150Mi", "250Mi", "1Gi"]))
    def needs_change(self, needs: str) -> None:
        """The app needs another amount of memory."""
        self.cluster.needs = needs
        self.settle(0)

    @rule(held=st.booleans(), guarded=st.booleans())
    def somebody_holds(self, *, held: bool, guarded: bool) -> None:
        """Somebody pauses the Deployment, or makes a PodDisruptionBudget, or takes these back."""
        self.cluster.held, self.cluster.guarded = held, guarded
        self.cluster.news()
        self.settle(0)

    # People.

    def edited(self) -> None:
        """The resource was changed: the operator hears of that sooner or later."""
        self.app.rv = self.cluster.news()

    @rule(image=st.sampled_from(IMAGES), fault=st.sampled_from(["", "", *SICK]))
    def spec_asks_for(self, image: str, fault: str) -> None:
        """The spec asks for another version, which may be bad."""
        self.cluster.versions[image] = fault
        self.app.image = image
        self.edited()

    @rule(mode=st.sampled_from([AUTO, AUTO, AUTO, APPROVE, OBSERVE, OFF]))
    def mode_changes(self, mode: str) -> None:
        """Somebody chooses another mode."""
        self.app.healing = {**self.app.healing, "mode": mode}
        self.edited()

    @rule()
    def somebody_resumes(self) -> None:
        """Somebody has healing begin anew."""
        self.app.resume = f"{self.cluster.news()}"
        self.edited()

    @rule(offset=st.sampled_from([-1, -1, -1, -2, 0]))
    def somebody_approves(self, offset: int) -> None:
        """Somebody approves of the last proposal, of an older one, or of one that is to come."""
        self.app.approve = str(read(self.app.record).next_id + offset)
        self.edited()

    # The operator.

    @rule(
        hold=st.sampled_from([None, None, Hold.STORM, Hold.STARTING_UP, Hold.STALE_FACTS]),
        many=st.booleans(),
    )
    def the_surroundings_change(self, hold: Hold | None, *, many: bool) -> None:
        """A storm comes or goes; many nodes are silent, or not."""
        self.operator.hold, self.operator.many_lost = hold, many

    @rule(times=st.integers(1, 3), hears=st.booleans())
    def operator_looks(self, times: int, *, hears: bool) -> None:
        """The operator reconciles; it has heard of changes of the resource, or not yet."""
        if hears:
            self.operator.restart()
        for _ in range(times):
            self.looks()

    @rule(pauses=st.lists(st.sampled_from([1, 10, 31, 61, 130, 301, 601]), min_size=1, max_size=12))
    def life_goes_on(self, pauses: list[int]) -> None:
        """Time passes, and the operator looks now and then."""
        self.operator.restart()
        for pause in pauses:
            self.settle(pause)
            for _ in range(3):
                self.looks()

    @rule(image=st.sampled_from(IMAGES), fault=st.sampled_from(["", *SICK]), pause=PAUSES)
    def a_version_is_rolled_out(self, image: str, fault: str, pause: int) -> None:
        """The spec asks for another version, and the operator sees what becomes of it."""
        self.spec_asks_for(image, fault)
        self.life_goes_on([0, 10, pause, 10])

    @rule(data=st.data(), fault=st.sampled_from(SICK), pause=PAUSES)
    def a_pod_falls_ill(self, data: st.DataObject, fault: str, pause: int) -> None:
        """One pod falls ill, and the operator sees what becomes of it."""
        if self.cluster.pods:
            self.a_pod_changes(data, fault)
        self.life_goes_on([pause, 10])

    @rule(node=st.sampled_from(NODES[:-1]), pause=PAUSES)
    def a_node_is_lost(self, node: str, pause: int) -> None:
        """A node falls silent, and the operator sees what becomes of its pods."""
        self.a_node_changes(node, "lost")
        self.life_goes_on([pause, 10, 10])

    @rule(dies=st.sampled_from(Operator.MOMENTS))
    def operator_dies(self, dies: str) -> None:
        """The operator is killed in the middle of its work."""
        self.looks(dies=dies)
        self.past.clear()

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def operator_sees_the_past(self, data: st.DataObject) -> None:
        """The watch is behind."""
        self.looks(seen=data.draw(st.sampled_from(self.past)))

    def looks(self, seen: Facts | None = None, dies: str = "") -> Look | None:
        """Let the operator look, and hold it to the rules."""
        now = self.operator.now
        self.elapsed += max(0.0, now - self.last)
        self.last = now
        generation = self.cluster.generation
        written = self.operator.look(seen, dies)
        if self.cluster.generation != generation:
            self.past.clear()  # what was written is known at once
        elif seen is None:
            self.past.append(self.cluster.facts(view(self.app)))
        while self.operator.steps:
            self.check_step(*self.operator.steps.pop())
        self.check_running()
        if written is not None:
            self.check(written)
        self.cluster.settle()
        return written

    # The rules.

    def check_step(self, record: HealingStatus, facts: Facts, step: Step) -> None:
        """What is carried out takes nothing from those that serve."""
        pods = {pod.uid: pod for pod in facts.pods}
        ready = sum(pod.ready for pod in facts.pods if not pod.deleting)

        assert OFF != record.mode or isinstance(step, Isolate | Delete)

        if isinstance(step, Evict) and step.pod.ready:
            assert (ready - 1) * 2 >= self.cluster.wanted

        if isinstance(step, Isolate):
            assert not step.pod.ready
            assert ready

        if isinstance(step, Delete) and step.uid in pods:
            assert not pods[step.uid].ready

        if isinstance(step, Resize):
            assert larger(step.limit, step.pod.memory_limit)
            assert not larger(step.limit, MOST)

    def check_running(self) -> None:
        """A version that was rejected is not run while the record stands."""
        if self.rejected == self.app.image and read(self.operator.known.record).failed_template:
            assert self.rejected != self.cluster.template.image

    def check(self, look: Look) -> None:
        """What is written keeps to the envelope."""
        before, after, case = look.before, look.after, look.case
        ids = [action.id for action in after.history]

        assert MAX_HISTORY >= len(ids)
        assert sorted(set(ids), reverse=True) == ids
        assert self.next_id <= after.next_id
        assert all(after.next_id > i for i in ids)

        self.next_id = after.next_id
        outcomes = [action.outcome for action in after.history]

        assert 1 >= outcomes.count(ActionOutcome.STARTED)
        assert 1 >= outcomes.count(ActionOutcome.PROPOSED)
        assert not [a for a in after.history if a.outcome in UNDER_WAY and self.is_old(a, after)]

        resumed = before.resumed != after.resumed
        anew = resumed or before.template != after.template
        if resumed:
            self.starts.clear()
        known = {action.id: action.outcome for action in before.history}
        for action in after.history:
            is_started = action.outcome is ActionOutcome.STARTED
            if is_started and known.get(action.id) is not ActionOutcome.STARTED:
                self.check_start(look, action, known.get(action.id), anew=anew, resumed=resumed)
        self.check_ledger(look)
        self.check_memory(look, anew=anew)
        if anew or after.mode == OFF or case.situation.good_lost:
            self.rejected, self.rollbacks = "", 0
        starts = {a.id for a in after.history if a.outcome is ActionOutcome.STARTED}
        if any(
            a.id in starts - known.keys() and a.remedy is Remedy.ROLLBACK for a in after.history
        ):
            self.rollbacks += 1
        if after.failed_template:
            assert version_of(look.app.image) == after.failed_template

            self.rejected = look.app.image

        assert 1 >= self.rollbacks

        if self.rejected and not after.failed_template:
            raise AssertionError(f"{self.rejected} is run again")

    def is_old(self, action: HealingAction, after: HealingStatus) -> bool:
        """Whether an action was decided for another version than that which is asked for."""
        return after.template_since is not None and action.at < after.template_since

    def check_start(
        self,
        look: Look,
        action: HealingAction,
        was: ActionOutcome | None,
        *,
        anew: bool,
        resumed: bool,
    ) -> None:
        """An action is started only when nothing is in its way."""
        case, before = look.case, look.before
        mode = look.app.healing["mode"]

        assert mode == AUTO or (mode == APPROVE and was is ActionOutcome.PROPOSED)
        assert mode == AUTO or str(action.id) == look.app.approve
        assert None is case.situation.hold
        assert not case.held
        assert anew or not before.quarantined
        if before.cooldown_until is not None and not resumed:
            assert before.cooldown_until <= builders.at(look.now) or self.is_skewed(look)
        for pod in case.pods:
            if pod.uid == action.uid and pod.ready:
                assert (case.ready - 1) * 2 >= case.wanted

        self.starts[action.id] = self.elapsed
        limits = policy(look.app.spec())
        recent = self.recent(limits.window)

        assert limits.budget >= len(recent)

    def is_skewed(self, look: Look) -> bool:
        """Whether the clock was set back since the rest began."""
        assert look.before.cooldown_until is not None

        return look.before.cooldown_until > builders.at(look.now) + policy(look.app.spec()).window

    def recent(self, window: timedelta) -> set[int]:
        """The actions that were started within the window, by the clock of the record."""
        start = self.elapsed - window.total_seconds() + SLACK
        return {i for i, at in self.starts.items() if at > start}

    def check_ledger(self, look: Look) -> None:
        """No action is forgotten within the window."""
        counted = {a.id for a in look.after.history if a.outcome in COUNTED}

        assert self.recent(policy(look.app.spec()).window) <= counted

    def check_memory(self, look: Look, *, anew: bool) -> None:
        """More memory is given up to the maximum, and never less to the same version."""
        before, after = look.before, look.after
        if after.memory_limit:
            assert not larger(after.memory_limit, MOST)
        rolled_back = after.failed_template != before.failed_template
        if before.memory_limit and not (anew or rolled_back or after.mode == OFF):
            assert after.memory_limit
            assert not larger(before.memory_limit, after.memory_limit)
            assert after.memory_in_template or not before.memory_in_template

    def check_rescue(self, record: HealingStatus) -> None:
        """A version that is bad for itself does not stay, where a good one is known.

        Unless all its pods stopped being ready at once: that is told as what they need being gone.
        """
        shared = IllnessType.DEPENDENCY_DOWN in {found.type for found in record.diagnoses}
        good = self.operator.kept.get(str(record.good_template))
        is_bad = bool(self.cluster.versions.get(self.app.image))
        if record.hold is not Hold.NO_REMEDY or not is_bad or good is None or shared:
            return

        assert good.image == self.app.image or record.failed_template, record

    # The end.

    def teardown(self) -> None:
        """When the world stops changing, so does what is written, for a reason that is told."""
        if not self.app.healing:
            return
        self.operator.restart()
        limits = policy(self.app.spec())
        enough = self.operator.now + 3 * limits.window.total_seconds() + LONG
        for _ in range(LOOKS):
            writes, seen = self.app.rv, self.cluster.rv
            self.looks()
            if (writes, seen) != (self.app.rv, self.cluster.rv):
                self.settle(5)
            elif self.cluster.busy_for:
                self.settle(self.cluster.busy_for)
            elif self.operator.again is not None:
                self.settle(int(self.operator.again) + 1)
            else:
                self.check_rest()
                return
            if limits.mode in {OBSERVE, APPROVE} and self.operator.now > enough:
                return  # what would be done is noted anew in each window
        raise AssertionError(f"it does not come to rest: {read(self.app.record)}")

    def check_rest(self) -> None:
        """An app at rest is well, or it is said why nothing is done."""
        record = read(self.app.record)
        facts = self.cluster.facts(view(self.app))
        ready = sum(pod.ready for pod in facts.pods if not pod.deleting)

        assert record.mode == self.app.healing["mode"]

        if record.mode in {AUTO, APPROVE} and record.diagnoses:
            assert record.hold in PEOPLE | {self.operator.hold, Hold.NODES_LOST}, record
            assert not any(a.outcome is ActionOutcome.STARTED for a in record.history), record
        self.check_rescue(record)
        for pause in (1, 100, 10_000):
            self.settle(pause)

            assert None is self.looks(), (record, read(self.app.record))

        assert ready or record.diagnoses or self.cluster.held


Envelope.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, print_blob=True
)
TestEnvelope = Envelope.TestCase
