"""A raise of a memory limit: of which container, how it fails, and how it is undone."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remediation
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState, RemediationContext
from selfhealing.remediation.memory_ceiling import RefusedLimit, find_override
from selfhealing.remediation.memory_raise import find_failure, set_limit, undo_raise
from selfhealing.remediation.strategies import choose_action
from tests.unit.remediation.factories import (
    AT,
    HEALTHY_POD,
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

OOM = DiagnosisType.OOM_KILLED
SPEC_LIMITS = {"app": "100Mi", "proxy": "64Mi"}


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
            find_failure(RAISING, make_raise(), context, is_timed_out=is_timed_out)
            for is_timed_out in (False, True)
        ]

    def test_without_a_message(self) -> None:
        """The reason is told alone."""
        pod = replace(resized_pod("Infeasible"), resize_message="")
        context = make_context(make_diagnosis(OOM), pods=(pod,))

        assert "web-abc-1 on node-1: Infeasible" == find_failure(
            RAISING, make_raise(), context, is_timed_out=False
        )

    def test_another_container(self) -> None:
        """The pod does not have it, or it has its limit."""
        context = make_context(make_diagnosis(OOM), pods=(resized_pod("Infeasible"),))
        action = make_raise("128Mi", container="proxy")

        assert "" == find_failure(RAISING, action, context, is_timed_out=True)

    @pytest.mark.parametrize(
        ("refused", "expected"), [("200Mi", "a quota"), ("150Mi", "a quota"), ("300Mi", "")]
    )
    def test_what_the_api_server_says(self, refused: str, expected: str) -> None:
        """A limit that is refused is not waited for."""
        external = ExternalState(refused_limits={"app": RefusedLimit(refused, "a quota")})
        context = make_context(make_diagnosis(OOM), external=external)

        assert expected == find_failure(RAISING, make_raise(), context, is_timed_out=False)

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
            bool(find_failure(record, make_raise(), context, is_timed_out=is_timed_out))
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
        raised = set_limit(record, "app", "300Mi", in_template=True)
        after, action = undo_raise(raised, make_raise("300Mi"), "no room")

        assert raised_to("300Mi", previous="200Mi") == raised.memory_limits
        assert (raised_to("200Mi"), True) == (after.memory_limits, after.memory_in_template)
        assert "more memory; undone: no room" == action.message

    def test_a_limit_that_did_not_help_does_not_come_back(self) -> None:
        """The spec's is in force again."""
        vain = make_raise("200Mi", outcome=ActionOutcome.FAILED)
        record = make_record(vain, memory_limits=raised_to("200Mi"))
        raised = set_limit(record, "app", "300Mi", in_template=True)
        after, _ = undo_raise(raised, make_raise("300Mi"), "no room")

        assert ([], False) == (after.memory_limits, after.memory_in_template)

    def test_other_containers_keep_theirs(self) -> None:
        """Each is raised, and undone, for itself."""
        record = make_record(memory_limits=raised_to("128Mi", container="proxy"))
        raised = set_limit(record, "app", "200Mi", in_template=False)
        after, _ = undo_raise(raised, make_raise(), "no room")

        assert ["proxy", "app"] == [entry.container for entry in raised.memory_limits]
        assert record.memory_limits == after.memory_limits

    def test_nothing_to_be_undone(self) -> None:
        """A record that somebody has emptied."""
        after, _ = undo_raise(make_record(), make_raise(), "no room")

        assert [] == after.memory_limits


class TestChoice:
    """Which limit is raised next."""

    def choose(
        self, record: HealingStatus, diagnosis: AppDiagnosis, **external: object
    ) -> tuple[str, str] | None:
        """The container and the limit of the next raise, within twice the spec's."""
        context: RemediationContext = make_context(
            diagnosis,
            memory_limits=SPEC_LIMITS,
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
        refused = {"app": RefusedLimit("200Mi", "a quota")}

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
            make_record(undone), make_context(make_diagnosis(OOM), memory_limits=SPEC_LIMITS)
        )

        assert (raised_to("200Mi"), False) == (after.memory_limits, after.memory_in_template)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["app", "proxy"]),
            st.sampled_from([None, ActionOutcome.SUCCEEDED, ActionOutcome.FAILED]),
        ),
        max_size=8,
    )
)
def test_raises_and_their_end(steps: list[tuple[str, ActionOutcome | None]]) -> None:
    """What is undone leaves the last limit that has helped; no outcome means that it is undone."""
    record = make_record()
    proved: dict[str, str] = {}
    for number, (container, outcome) in enumerate(steps, 1):
        limit = f"{100 * number}Mi"
        record = set_limit(record, container, limit, in_template=False)
        action = make_raise(limit, container=container, number=number)
        if outcome is None:
            record, _ = undo_raise(record, action, "no room")
            after = find_override(record, container)
            assert proved.get(container) == (after and after.limit)
        else:
            ended = action.model_copy(update={"outcome": outcome})
            record = record.model_copy(update={"history": [ended, *record.history]})
        if outcome is ActionOutcome.SUCCEEDED:
            proved[container] = limit
        names = [entry.container for entry in record.memory_limits]
        assert len(names) == len(set(names))
