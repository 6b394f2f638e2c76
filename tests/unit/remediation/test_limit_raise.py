"""A raise of a limit: of which container, how it fails, and how it is undone."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.container_limits import LimitKey
from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState, RemediationContext
from selfhealing.remediation.limit_ceiling import RefusedLimit
from selfhealing.remediation.limit_raise import find_failure, set_limit, undo_raise
from selfhealing.remediation.raised_limits import RAISES, get_raised_limits
from selfhealing.remediation.strategies import choose_action
from tests.unit.remediation.factories import (
    APP_CPU,
    APP_MEMORY,
    AT,
    HEALTHY_POD,
    PROXY_MEMORY,
    make_action,
    make_context,
    make_decision_input,
    make_diagnosis,
    make_pod,
    make_policy,
    make_record,
    raised_to,
    run_decide,
)

OOM, THROTTLED = DiagnosisType.OOM_KILLED, DiagnosisType.CPU_THROTTLED
SPEC_LIMITS = {APP_MEMORY: "100Mi", PROXY_MEMORY: "64Mi", APP_CPU: "1"}


def make_raise(
    target: str = "200Mi",
    *,
    container: str = "",
    outcome: ActionOutcome = ActionOutcome.IN_PROGRESS,
    number: int = 1,
    at: float = AT - 10,
) -> HealingAction:
    """A raise; without a container it is one of an earlier version."""
    return make_action(
        number,
        Remediation.RAISE_MEMORY,
        outcome,
        at=at,
        diagnosis=OOM,
        target=target,
        container=container,
        message="more memory",
    )


def resized_pod(reason: str, *, applied: str = "100Mi", limit: str = "200Mi") -> PodView:
    """A pod that was resized, and what its node says of it."""
    conditions = [
        {"type": "PodResizePending", "status": "True", "reason": reason, "message": "no room"}
    ]
    return make_pod(
        memory_limit=limit, applied_memory_limit=applied, conditions=conditions if reason else ()
    )


RAISING = make_record(make_raise(), memory_limits=raised_to("200Mi"))
INFEASIBLE = "web-abc-1 on node-1: Infeasible: no room"


class TestFailure:
    """When a raise in progress cannot succeed."""

    @pytest.mark.parametrize(
        ("pod", "at_once", "in_the_end"),
        [
            (resized_pod("Infeasible"), INFEASIBLE, INFEASIBLE),
            (resized_pod("Deferred"), "", "web-abc-1 on node-1: Deferred: no room"),
            (resized_pod("Error"), "", "web-abc-1 on node-1: Error: no room"),
            (resized_pod("Infeasible", applied=""), INFEASIBLE, INFEASIBLE),
            (resized_pod("Infeasible", applied="200Mi"), "", ""),
            (resized_pod("Infeasible", limit="150Mi"), "", ""),
            (resized_pod(""), "", ""),
        ],
        ids=[
            "infeasible",
            "deferred",
            "an error, which the kubelet retries",
            "not reported",
            "applied",
            "of an earlier limit",
            "under way",
        ],
    )
    def test_what_the_node_says(self, pod: PodView, at_once: str, in_the_end: str) -> None:
        """It may make room until the time is over."""
        context = make_context(make_diagnosis(OOM), pods=(pod, HEALTHY_POD))

        assert [at_once, in_the_end] == [
            find_failure(RAISING, make_raise(), APP_MEMORY, context, is_timed_out=is_timed_out)
            for is_timed_out in (False, True)
        ]

    def test_without_a_message(self) -> None:
        """The reason is told alone."""
        pod = replace(resized_pod("Infeasible"), resize_message="")
        context = make_context(make_diagnosis(OOM), pods=(pod,))

        assert "web-abc-1 on node-1: Infeasible" == find_failure(
            RAISING, make_raise(), APP_MEMORY, context, is_timed_out=False
        )

    def test_another_container(self) -> None:
        """The pod does not have it, or it has its limit."""
        context = make_context(make_diagnosis(OOM), pods=(resized_pod("Infeasible"),))
        action = make_raise("128Mi", container="proxy")

        assert "" == find_failure(RAISING, action, PROXY_MEMORY, context, is_timed_out=True)

    @pytest.mark.parametrize(
        ("refused", "expected"), [("200Mi", "a quota"), ("150Mi", "a quota"), ("300Mi", "")]
    )
    def test_what_the_api_server_says(self, refused: str, expected: str) -> None:
        """A limit that is refused is not waited for."""
        external = ExternalState(refused_limits={APP_MEMORY: RefusedLimit(refused, "a quota")})
        context = make_context(make_diagnosis(OOM), external=external)

        assert expected == find_failure(
            RAISING, make_raise(), APP_MEMORY, context, is_timed_out=False
        )

    @pytest.mark.parametrize(
        ("diagnosis", "at_once", "in_the_end"),
        [
            (DiagnosisType.QUOTA_EXCEEDED, True, True),
            (DiagnosisType.PODS_REFUSED, True, True),
            (DiagnosisType.UNSCHEDULABLE, False, True),
            (DiagnosisType.OOM_KILLED, False, False),
        ],
    )
    def test_new_pods(self, diagnosis: DiagnosisType, *, at_once: bool, in_the_end: bool) -> None:
        """Those of a template with more memory may be refused, or find no node."""
        record = RAISING.model_copy(update={"memory_in_template": True})
        context = make_context(make_diagnosis(diagnosis), pods=(resized_pod("Infeasible"),))

        assert [at_once, in_the_end] == [
            bool(find_failure(record, make_raise(), APP_MEMORY, context, is_timed_out=is_timed_out))
            for is_timed_out in (False, True)
        ]


class TestUndoing:
    """What is in force after a raise that has failed."""

    def test_at_once(self) -> None:
        """The record is cleared, and the action says why."""
        context = make_context(make_diagnosis(OOM), pods=(resized_pod("Infeasible"),))
        after = run_decide(RAISING, context)

        assert ([], False) == (after.memory_limits, after.memory_in_template)
        assert (ActionOutcome.FAILED, f"more memory; undone: {INFEASIBLE}") == (
            after.history[-1].outcome,
            after.history[-1].message,
        )

    def test_a_limit_that_proved_itself_stays(self) -> None:
        """Only the last raise is undone."""
        proved = make_raise("200Mi", outcome=ActionOutcome.SUCCEEDED)
        record = make_record(proved, memory_limits=raised_to("200Mi"))
        raised = set_limit(record, APP_MEMORY, "300Mi", in_template=True)
        after, action = undo_raise(raised, make_raise("300Mi"), APP_MEMORY, "no room")

        assert raised_to("300Mi", previous="200Mi") == raised.memory_limits
        assert (raised_to("200Mi"), True) == (after.memory_limits, after.memory_in_template)
        assert "more memory; undone: no room" == action.message

    def test_a_limit_that_did_not_help_does_not_come_back(self) -> None:
        """The spec's is in force again."""
        vain = make_raise("200Mi", outcome=ActionOutcome.FAILED)
        record = make_record(vain, memory_limits=raised_to("200Mi"))
        raised = set_limit(record, APP_MEMORY, "300Mi", in_template=True)
        after, _ = undo_raise(raised, make_raise("300Mi"), APP_MEMORY, "no room")

        assert ([], False) == (after.memory_limits, after.memory_in_template)

    def test_other_containers_keep_theirs(self) -> None:
        """Each is raised, and undone, for itself."""
        record = make_record(memory_limits=raised_to("128Mi", container="proxy"))
        raised = set_limit(record, APP_MEMORY, "200Mi", in_template=False)
        after, _ = undo_raise(raised, make_raise(), APP_MEMORY, "no room")

        assert ["proxy", "app"] == [entry.container for entry in raised.memory_limits]
        assert record.memory_limits == after.memory_limits

    def test_nothing_to_be_undone(self) -> None:
        """A record that somebody has emptied."""
        after, _ = undo_raise(make_record(), make_raise(), APP_MEMORY, "no room")

        assert [] == after.memory_limits


class TestChoice:
    """Which limit is raised next."""

    def choose(
        self, record: HealingStatus, diagnosis: AppDiagnosis, **external: object
    ) -> tuple[str, str] | None:
        """The container and the limit of the next raise, within twice the spec's."""
        context: RemediationContext = make_context(
            diagnosis,
            limits=SPEC_LIMITS,
            external=ExternalState(**external),  # type: ignore[arg-type]
        )
        policy = make_policy(memory={"enabled": True})
        proposal = choose_action(make_decision_input(record, context, policy))
        return (proposal.container, proposal.target) if proposal else None

    def test_the_sidecar(self) -> None:
        """The container that was killed, within a ceiling of its own."""
        proxy = replace(make_diagnosis(OOM), container="proxy")

        assert ("proxy", "128Mi") == self.choose(make_record(), proxy)
        assert ("app", "200Mi") == self.choose(make_record(), make_diagnosis(OOM))

    def test_a_container_without_a_limit(self) -> None:
        """The node ran out of memory."""
        injected = replace(make_diagnosis(OOM), container="injected")

        assert None is self.choose(make_record(), injected)

    def test_what_was_refused(self) -> None:
        """It is not tried while that is known."""
        refused = {APP_MEMORY: RefusedLimit("200Mi", "a quota")}

        assert None is self.choose(make_record(), make_diagnosis(OOM), refused_limits=refused)

    def test_an_infeasible_resize_is_followed_by_new_pods(self) -> None:
        """The scheduler finds a node with room; after that there is no further attempt."""
        undone = make_raise(container="app", outcome=ActionOutcome.FAILED)
        again = make_raise(container="app", outcome=ActionOutcome.FAILED, number=2)
        diagnosis = make_diagnosis(OOM, Cause.POD, resized_pod("Infeasible"))

        assert ("app", "200Mi") == self.choose(make_record(undone), diagnosis)
        assert None is self.choose(make_record(again, undone), diagnosis)

    def test_the_failure_of_another_container(self) -> None:
        """The limit of this one is raised in the running pods first."""
        undone = make_raise("128Mi", container="proxy", outcome=ActionOutcome.FAILED)
        after = run_decide(
            make_record(undone), make_context(make_diagnosis(OOM), limits=SPEC_LIMITS)
        )

        assert (raised_to("200Mi"), False) == (after.memory_limits, after.memory_in_template)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([APP_MEMORY, PROXY_MEMORY, APP_CPU]),
            st.sampled_from([None, ActionOutcome.SUCCEEDED, ActionOutcome.FAILED]),
        ),
        max_size=8,
    )
)
def test_raises_and_their_end(steps: list[tuple[LimitKey, ActionOutcome | None]]) -> None:
    """What is undone leaves the last limit that has helped; no outcome means that it is undone."""
    record = make_record()
    proved: dict[LimitKey, str] = {}
    for number, (key, outcome) in enumerate(steps, 1):
        limit = f"{100 * number}Mi"
        record = set_limit(record, key, limit, in_template=False)
        action = make_raise(limit, container=key.container, number=number).model_copy(
            update={"remediation": RAISES[key.resource]}
        )
        if outcome is None:
            record, _ = undo_raise(record, action, key, "no room")
            after = get_raised_limits(record).get(key)
            assert proved.get(key) == (after and after.limit)
        else:
            ended = action.model_copy(update={"outcome": outcome})
            record = record.model_copy(update={"history": [ended, *record.history]})
        if outcome is ActionOutcome.SUCCEEDED:
            proved[key] = limit
        names = [entry.container for entry in record.memory_limits]
        assert len(names) == len(set(names))


class TestCPU:
    """A CPU limit that makes probes fail."""

    def throttled(self, *pods: PodView) -> AppDiagnosis:
        """The diagnosis of these pods, by default of one that was ready before."""
        lost = make_pod("web-abc-1", since=5000)
        diagnosis = make_diagnosis(THROTTLED, Cause.UNKNOWN, *(pods or (lost,)))
        return replace(diagnosis, container="app", confidence=Confidence.LOW)

    def choose(
        self, *diagnoses: AppDiagnosis, record: HealingStatus | None = None, **healing: object
    ) -> tuple[Remediation, str] | None:
        """The remediation and the limit that is proposed."""
        pods = (*diagnoses[0].pods, HEALTHY_POD)
        context = make_context(*diagnoses, limits=SPEC_LIMITS, pods=pods)
        inputs = make_decision_input(record or make_record(), context, make_policy(**healing))
        proposal = choose_action(inputs)
        return (proposal.remediation, proposal.target) if proposal else None

    def test_of_a_pod_that_was_ready(self) -> None:
        """By a half; once more up to twice the spec's."""
        raised = make_record(cpu_limits=raised_to("1500m"))

        assert (Remediation.RAISE_CPU, "1500m") == self.choose(self.throttled())
        assert (Remediation.RAISE_CPU, "2000m") == self.choose(self.throttled(), record=raised)

    def test_of_a_pod_that_a_probe_has_killed(self) -> None:
        """It may never have been ready; nothing but the limit is changed."""
        killed = make_pod("web-abc-1")
        liveness = make_diagnosis(DiagnosisType.LIVENESS_KILLED, Cause.UNKNOWN, killed)

        assert None is self.choose(self.throttled(killed))
        assert (Remediation.RAISE_CPU, "1500m") == self.choose(liveness, self.throttled(killed))

    @pytest.mark.parametrize("cause", [Cause.NEW_VERSION, Cause.FOREIGN_EDIT])
    def test_beside_a_change_that_is_suspected(self, cause: Cause) -> None:
        """It is undone instead, if there is something to go back to."""
        suspected = make_diagnosis(DiagnosisType.NOT_READY_TOO_LONG, cause)
        throttled = self.throttled()
        stable = make_record(stable_revision="good", stable_image="web:v1")
        found = self.choose(throttled, suspected, record=stable)

        assert found is None or found[0] is not Remediation.RAISE_CPU
        assert (Remediation.RAISE_CPU, "1500m") == self.choose(throttled, suspected)

    def test_never(self) -> None:
        """Switched off, above the ceiling, or again after it did not help."""
        vain = make_action(
            1, Remediation.RAISE_CPU, diagnosis=THROTTLED, target="1500m", container="app"
        )

        assert None is self.choose(self.throttled(), cpu={"enabled": False})
        assert None is self.choose(self.throttled(), cpu={"max": "1"})
        assert None is self.choose(self.throttled(), record=make_record(vain))

    def test_from_its_start_to_its_end(self) -> None:
        """Running pods are resized; memory stays; without success it is undone, and that is all."""
        before = make_record(memory_limits=raised_to("200Mi"), memory_in_template=True)
        context = make_context(
            self.throttled(), limits=SPEC_LIMITS, pods=(make_pod("web-abc-1", since=5000),)
        )
        raised = run_decide(before, context)
        assert (raised_to("1500m"), raised_to("200Mi"), True) == (
            raised.cpu_limits,
            raised.memory_limits,
            raised.memory_in_template,
        )

        failed = run_decide(raised, context, at=AT + 301)
        assert (ActionOutcome.FAILED, []) == (failed.history[0].outcome, failed.cpu_limits)
        assert failed.history[0].message.endswith("undone: it did not help")
        later = run_decide(failed, context, at=AT + 900)
        assert (BlockedReason.NO_REMEDIATION, False) == (later.blocked_reason, later.quarantined)

        well = make_context(limits=SPEC_LIMITS, pods=(HEALTHY_POD,), wanted=1)
        assert ActionOutcome.SUCCEEDED is run_decide(raised, well, at=AT + 60).history[0].outcome

    def test_what_the_node_says(self) -> None:
        """A resize that is infeasible is undone at once."""
        pod = replace(
            make_pod("web-abc-1", memory_limit="100Mi", since=5000), resize_reason="Infeasible"
        )
        (app,) = pod.containers
        resized = replace(app, limits=app.limits._replace(cpu="1500m"))
        pod = replace(pod, containers=(resized,))
        context = make_context(self.throttled(pod), limits=SPEC_LIMITS, pods=(pod,))
        action = make_action(
            1,
            Remediation.RAISE_CPU,
            ActionOutcome.IN_PROGRESS,
            at=AT - 10,
            diagnosis=THROTTLED,
            target="1500m",
            container="app",
        )
        after = run_decide(make_record(action, cpu_limits=raised_to("1500m")), context)

        assert (ActionOutcome.FAILED, []) == (after.history[-1].outcome, after.cpu_limits)
