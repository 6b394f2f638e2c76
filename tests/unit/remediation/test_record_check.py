"""A stored record has effect only as far as the spec allows; the rest is dropped and named."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.api import status
from selfhealing.api.healing_status import (
    MAX_HISTORY,
    ActionOutcome,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    RaisedLimitStatus,
    Remediation,
)
from selfhealing.api.quantity import parse_quantity
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.deadlines import Deadlines
from selfhealing.remediation import history
from selfhealing.remediation.engine import decide
from selfhealing.remediation.limit_steps import exceeds
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.raised_limits import get_raised_limits
from selfhealing.remediation.record_check import (
    MAX_CLOCK_SKEW,
    MAX_ID,
    CheckedRecord,
    check_record,
)
from selfhealing.remediation.steps import plan_steps
from tests.unit import builders
from tests.unit.examples import scale_examples
from tests.unit.remediation.factories import (
    APP_CPU,
    APP_MEMORY,
    PROXY_MEMORY,
    make_context,
    make_policy,
    raised_to,
)
from tests.unit.snapshots import build_snapshot

NOW = builders.at(10_000)
EDIT_TARGET = "kubectl-edit@2026-01-01T12:00:00Z"
FAR = NOW + timedelta(days=400)
REVISION = "0123456789"
LOST_POD = builders.pod(
    "web-abc-3", builders.running(), ready=False, ready_reason="", since=9_990, node="node-9"
)
SNAPSHOT = build_snapshot(
    builders.deployment(),
    builders.pod("web-abc-1", builders.running()),
    builders.pod("web-abc-2", builders.running(), ownerReferences=[]),
    LOST_POD,
)
FOREIGN_UID = "uid-of-web-abc-2"


def make_action(
    remediation: Remediation = Remediation.REPLACE_POD,
    outcome: ActionOutcome = ActionOutcome.IN_PROGRESS,
    action_id: int = 1,
    at: datetime = NOW,
    **more: Any,  # noqa: ANN401 - fields
) -> HealingAction:
    """An action."""
    fields = {"diagnosis": "CrashLooping", **more}
    return HealingAction(id=action_id, remediation=remediation, outcome=outcome, at=at, **fields)


SPEC_LIMITS = {APP_MEMORY: "100Mi", PROXY_MEMORY: "64Mi", APP_CPU: "1"}


def check(
    policy: Policy | None = None,
    snapshot: AppSnapshot = SNAPSHOT,
    **fields: Any,  # noqa: ANN401 - fields of the record
) -> CheckedRecord:
    """Check a record with these fields."""
    values = {"mode": "Auto", "budget_left": 3, "desired_revision": REVISION, "next_id": 9}
    return check_record(
        HealingStatus(**{**values, **fields}),
        snapshot,
        policy or make_policy(),
        NOW,
        revision=REVISION,
        spec_limits=SPEC_LIMITS,
    )


def test_a_record_of_the_operator() -> None:
    """Nothing is dropped of what the spec allows."""
    fields: dict[str, Any] = {
        "stable_revision": "abc",
        "stable_digest": "abc" + 61 * "0",
        "stable_image": "web:v0",
        "previous_stable_revision": "def",
        "previous_stable_digest": "def" + 61 * "0",
        "failed_revision": REVISION,
        "memory_limits": raised_to("200Mi"),
        "memory_in_template": True,
        "excluded_node": "node-1.example",
        "fallback_replicas": 5,
        "desired_since": NOW - timedelta(hours=1),
        "healthy_since": NOW,
        "cooldown_until": NOW + timedelta(minutes=5),
        "quarantine": QuarantineStatus(pod="web-abc-9", uid="u", until=NOW + timedelta(minutes=50)),
        "history": [
            make_action(action_id=8, uid="gone"),
            make_action(outcome=ActionOutcome.FAILED, action_id=3),
        ],
    }
    found = check(**fields)

    assert () == found.rejected
    assert fields == {name: getattr(found.record, name) for name in fields}


@pytest.mark.parametrize(
    ("revision", "digest"),
    [
        ("abc", "abd" + 61 * "0"),
        ("abc", "abc"),
        ("abc", "abc" + 60 * "0" + "x"),
        (None, 64 * "0"),
        ("../x", None),
    ],
)
def test_a_revision_with_a_hash_that_is_not_its_own(
    revision: str | None, digest: str | None
) -> None:
    """Without the hash less of the saved template would be compared."""
    found = check(
        stable_revision=revision,
        stable_digest=digest,
        previous_stable_revision=revision,
        previous_stable_digest=digest,
    )

    assert ("stableRevision", "previousStableRevision") == found.rejected
    assert (None, None) == (found.record.stable_revision, found.record.stable_digest)
    assert found.record.previous_stable_revision is None
    assert found.record.previous_stable_digest is None


def test_times_and_revisions_that_no_operator_has_written() -> None:
    """They are dropped, or cut to what the policy allows."""
    far = NOW + timedelta(days=30)
    diagnosis = DiagnosisStatus(type="CrashLooping", cause="Pod", confidence="High", since=far)
    found = check(
        diagnoses=[diagnosis],
        retry_at=far,
        excluded_node="node-1",
        excluded_until=far,
        previous_stable_revision="../other",
    )

    assert (
        "a time in the future",
        "retryAt (longer than a day)",
        "previousStableRevision",
        "excludedUntil (longer than an hour)",
    ) == found.rejected
    assert [] == found.record.diagnoses
    assert NOW + timedelta(hours=24) == found.record.retry_at
    assert NOW + timedelta(hours=1) == found.record.excluded_until
    assert None is found.record.previous_stable_revision


def make_removal(target: str) -> HealingAction:
    """An action that has removed foreign fields."""
    return make_action(
        Remediation.REMOVE_FOREIGN_FIELDS, ActionOutcome.FAILED, action_id=2, target=target
    )


OFF: dict[str, Any] = {
    "rollback": {"enabled": False},
    "replacePod": {"enabled": False},
    "failover": {"enabled": False},
    "memory": {"enabled": False},
    "cpu": {"enabled": False},
    "scalingFallback": None,
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"memory_limits": raised_to("64Gi")}, {"memory_limits": raised_to("300Mi")}),
        ({"cpu_limits": raised_to("9")}, {"cpu_limits": raised_to("2000m")}),
        ({"cpu_limits": raised_to("1")}, {"cpu_limits": []}),
        ({"cpu_limits": raised_to("2", container="proxy")}, {"cpu_limits": []}),
        ({"memory_limits": raised_to("90Mi")}, {"memory_limits": [], "memory_in_template": False}),
        ({"memory_limits": raised_to("-1Gi")}, {"memory_limits": []}),
        ({"memory_limits": raised_to("1e999999999")}, {"memory_limits": []}),
        ({"memory_limits": raised_to("plenty")}, {"memory_limits": []}),
        ({"excluded_node": "../a node"}, {"excluded_node": None}),
        ({"fallback_replicas": 9999}, {"fallback_replicas": 5}),
        ({"failed_revision": REVISION}, {"failed_revision": None}),
        ({"stable_revision": "../../secrets/x"}, {"stable_revision": None}),
        ({"stable_revision": "a" * 64}, {"stable_revision": None}),
        ({"next_id": 2**31 - 1}, {"next_id": 1}),
        ({"desired_since": FAR}, {"desired_since": None}),
        ({"healthy_since": FAR}, {"healthy_since": None}),
        ({"budget_reset_time": FAR}, {"budget_reset_time": None}),
        ({"cooldown_until": FAR}, {"cooldown_until": NOW + timedelta(hours=1)}),
        (
            {"quarantine": QuarantineStatus(pod="web-abc-2", uid=FOREIGN_UID, until=NOW)},
            {"quarantine": None},
        ),
        (
            {"quarantine": QuarantineStatus(pod="../../bank/pods/x", uid="u", until=NOW)},
            {"quarantine": None},
        ),
        (
            {"quarantine": QuarantineStatus(pod="web-abc-1", uid="u", until=FAR)},
            {
                "quarantine": QuarantineStatus(
                    pod="web-abc-1", uid="u", until=NOW + timedelta(hours=1)
                )
            },
        ),
    ],
)
def test_what_is_not_allowed(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """It is dropped or reduced, and named without its text."""
    found = check(**fields)

    assert expected == {name: getattr(found.record, name) for name in expected}
    assert 1 == len(found.rejected)
    assert not any(str(value) in found.rejected[0] for value in fields.values())


def test_a_relaxed_probe_for_ever() -> None:
    """It is relaxed for as long as the spec says, at most."""
    policy = make_policy(relaxLiveness={"enabled": True})
    found = check(policy, relaxed_until=FAR)

    assert (NOW + timedelta(hours=1), ("relaxedUntil (longer than relaxLiveness.ttl)",)) == (
        found.record.relaxed_until,
        found.rejected,
    )


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"failed_revision": REVISION, "stable_revision": "abc"}, "failedRevision"),
        ({"memory_limits": raised_to("200Mi")}, "memoryLimits (memory.enabled is false)"),
        ({"cpu_limits": raised_to("1500m")}, "cpuLimits (cpu.enabled is false)"),
        ({"excluded_node": "node-1"}, "excludedNode"),
        ({"relaxed_until": NOW}, "relaxedUntil"),
        ({"fallback_replicas": 2}, "fallbackReplicas"),
    ],
)
def test_what_is_switched_off(fields: dict[str, Any], part: str) -> None:
    """An override ends with the part of the spec that allows it."""
    found = check(make_policy(**OFF), **fields)
    name = next(iter(fields))

    assert not getattr(found.record, name)
    assert found.rejected[0].startswith(part)


@pytest.mark.parametrize(
    "remediation", [entry for entry in Remediation if entry is not Remediation.QUARANTINE]
)
def test_an_action_in_progress_that_is_switched_off(remediation: Remediation) -> None:
    """It is superseded, so that nothing of it is carried out, and it keeps its cost."""
    is_removal = remediation is Remediation.REMOVE_FOREIGN_FIELDS
    action = make_action(remediation, target=EDIT_TARGET if is_removal else "5")

    allowed = make_policy(relaxLiveness={"enabled": True})

    assert () == check(allowed, history=[action]).rejected

    found = check(make_policy(**OFF), history=[action])

    assert ("an action in progress (the spec does not enable it)",) == found.rejected
    assert [ActionOutcome.SUPERSEDED] == [entry.outcome for entry in found.record.history]
    assert () == plan_steps(found.record, SNAPSHOT, NOW)


@pytest.mark.parametrize(
    ("healing", "actions", "reason"),
    [
        ({}, [make_action(uid=FOREIGN_UID)], "its pod is not the app's"),
        ({}, [make_action(Remediation.QUARANTINE)], "the spec does not enable it"),
        ({"mode": "Approve"}, [make_action()], "it is not approved"),
        (
            {"budget": 1},
            [make_action(action_id=2), make_action(outcome=ActionOutcome.FAILED)],
            "it is above the budget",
        ),
        (
            {},
            [make_action(Remediation.FAILOVER, target="node-9")],
            "its node is not lost for long enough",
        ),
    ],
)
def test_an_action_in_progress_that_could_not_start(
    healing: dict[str, Any], actions: list[HealingAction], reason: str
) -> None:
    """A forged one is stopped before anything is done."""
    found = check(make_policy(**healing), history=actions)

    assert (f"an action in progress ({reason})",) == found.rejected
    assert None is history.find_running(found.record)


def test_an_approved_action() -> None:
    """The annotation names its id."""
    app = builders.app(annotations={"selfhealing.dev/approve": "1"})

    policy, snapshot = make_policy(mode="Approve"), build_snapshot(app)

    assert () == check(policy, snapshot, history=[make_action()]).rejected


@pytest.mark.parametrize(
    "actions",
    [
        [make_action(), make_action()],
        [make_action(), make_action(action_id=2)],
        [make_action(), make_action(outcome=ActionOutcome.FAILED, action_id=MAX_ID)],
        [make_action(), make_action(outcome=ActionOutcome.FAILED, action_id=2, at=FAR)],
        [make_action(), make_action(outcome=ActionOutcome.FAILED, action_id=2, ended_at=FAR)],
        [
            make_action(),
            make_action(
                Remediation.SCALING_FALLBACK, ActionOutcome.FAILED, action_id=2, target="many"
            ),
        ],
        [make_action(), make_removal("somebody")],
        [make_action(), make_removal("kubectl-edit@2999-01-01T00:00:00Z")],
    ],
    ids=[
        "same id",
        "two in progress",
        "huge id",
        "future",
        "ends in the future",
        "no number",
        "no edit",
        "an edit in the future",
    ],
)
def test_entries_of_the_history(actions: list[HealingAction]) -> None:
    """An entry that no decision makes is dropped."""
    found = check(history=actions)

    assert [actions[0]] == found.record.history
    assert ("entries of history",) == found.rejected


def test_the_next_id_is_above_all_others() -> None:
    """Two actions never share an id."""
    assert 8 == check(history=[make_action(action_id=7)], next_id=3).record.next_id


TIMES = st.one_of(
    st.integers(86_400, 32_500_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(-10_000, 200_000).map(builders.at),
)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
WORDS = st.one_of(PRINTABLE, st.sampled_from(["0123456789", "web-abc-1", "9", "200Mi"]))
QUANTITIES = st.from_regex(r"[0-9]{1,9}(Mi|Gi|e[0-9]{1,9})", fullmatch=True)
ACTIONS = st.builds(
    HealingAction,
    id=st.integers(0, 2**31 - 1) | st.integers(0, 5),
    remediation=st.sampled_from(Remediation),
    diagnosis=st.just("CrashLooping"),
    target=WORDS,
    uid=st.sampled_from(["", "uid-of-web-abc-1", FOREIGN_UID, "x"]),
    outcome=st.sampled_from(ActionOutcome),
    at=TIMES,
    ended_at=st.none() | TIMES,
)
RAISED = st.lists(
    st.builds(
        RaisedLimitStatus,
        container=st.sampled_from(["app", "proxy", "x"]),
        limit=WORDS | QUANTITIES,
        previous=st.none() | WORDS | QUANTITIES,
    ),
    max_size=4,
)
RECORDS = st.builds(
    HealingStatus,
    mode=st.sampled_from(["Auto", "Off", "x"]),
    budget_left=st.integers(0, 2**31 - 1),
    cooldown_until=st.none() | TIMES,
    quarantined=st.booleans(),
    quarantine=st.none() | st.builds(QuarantineStatus, pod=WORDS, uid=WORDS, until=TIMES),
    desired_revision=st.none() | WORDS,
    desired_since=st.none() | TIMES,
    healthy_since=st.none() | TIMES,
    stable_revision=st.none() | WORDS,
    stable_digest=st.none() | WORDS,
    stable_image=st.none() | WORDS,
    failed_revision=st.none() | WORDS,
    memory_limits=RAISED,
    cpu_limits=RAISED,
    memory_in_template=st.booleans(),
    excluded_node=st.none() | WORDS,
    relaxed_until=st.none() | TIMES,
    fallback_replicas=st.none() | st.integers(1, 2**31 - 1),
    budget_reset_time=st.none() | TIMES,
    observed_resume=st.none() | WORDS,
    next_id=st.integers(0, 2**31 - 1),
    history=st.lists(ACTIONS, max_size=MAX_HISTORY),
)


@settings(max_examples=scale_examples(300), deadline=None)
@given(
    RECORDS,
    st.sampled_from(
        [{}, OFF, {"mode": "Approve"}, {"budget": 1}, {"relaxLiveness": {"enabled": True}}]
    ),
)
def test_any_record_within_the_policy(stored: HealingStatus, healing: dict[str, Any]) -> None:
    """Whatever is stored: what has effect is within the policy, and a decision can be made."""
    policy = make_policy(**healing)
    found = check_record(stored, SNAPSHOT, policy, NOW, revision=REVISION, spec_limits=SPEC_LIMITS)
    record = found.record

    ceilings = {APP_MEMORY: "300Mi", PROXY_MEMORY: "128Mi", APP_CPU: "2"}
    for key, entry in get_raised_limits(record).items():
        assert policy.raises[key.resource].enabled
        assert not exceeds(entry.limit, ceilings[key])
        if record.desired_revision == REVISION and record.failed_revision is None:
            assert exceeds(entry.limit, SPEC_LIMITS[key])
        assert entry.previous is None or exceeds(entry.limit, entry.previous)
    assert (record.fallback_replicas or 0) <= (policy.fallback_replicas or 0)
    assert record.failed_revision is None or policy.rollback
    assert record.excluded_node is None or policy.replace_pod
    assert record.relaxed_until is None or policy.relax_liveness
    assert all(action.at <= NOW + MAX_CLOCK_SKEW for action in record.history)
    assert len({action.id for action in record.history}) == len(record.history)
    assert record.next_id > max((action.id for action in record.history), default=0)
    recent = [a for a in history.find_recent(record, policy, NOW) if a.outcome in history.BUDGETED]
    assert history.find_running(record) is None or len(recent) <= policy.budget
    # Checked again, it stays as it is.
    again = check_record(record, SNAPSHOT, policy, NOW, revision=REVISION, spec_limits=SPEC_LIMITS)
    assert CheckedRecord(record) == again
    decided = decide(record, make_context(), policy, Deadlines(NOW))
    stored_again = SelfHealingAppStatus(healing=decided).to_json()
    assert stored_again == read_status(stored_again).to_json()
    plan_steps(record, SNAPSHOT, NOW)


def test_a_quantity_that_would_overflow() -> None:
    """It is none."""
    assert None is parse_quantity("1e999999999")
    assert 10**100 == parse_quantity("1e100")


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "1969-12-31T00:00:00Z"]
)
def test_a_time_out_of_range(time: str) -> None:
    """It is dropped: calculations with it would fail."""
    stored = {"healing": {"mode": "Auto", "budgetLeft": 1, "healthySince": time}}
    found = read_status(stored).healing

    assert found is not None
    assert None is found.healthy_since


def test_a_status_with_very_many_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many the whole record is dropped: the work for a status is bounded."""
    entries = [{"id": 1, "remediation": "x", "outcome": "x", "at": "x", "diagnosis": 1}]
    healing = {"mode": "Auto", "budgetLeft": 1, "history": entries * MAX_HISTORY}
    few = {"healing": {**healing, "history": entries}, "phase": "Ready"}

    assert HealingStatus(mode="Auto", budget_left=1) == read_status(few).healing

    monkeypatch.setattr(status, "MAX_REPAIRS", 3)
    found = read_status({"healing": healing, "phase": "Ready"})

    assert ("Ready", None) == (found.phase, found.healing)
