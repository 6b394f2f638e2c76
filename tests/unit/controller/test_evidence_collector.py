"""Evidence comes before its action, once, and keeps nobody from being healed for long."""

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.controller.evidence_collector import NO_TURN, EvidenceCollector
from selfhealing.controller.evidence_privacy import EvidencePrivacy
from selfhealing.controller.fair_slots import NoSlotError
from selfhealing.kube.errors import UnavailableError
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.fake_api_server import (
    FakeApiServer,
    build_action,
    build_inputs,
    build_record,
    build_slots,
    build_spec,
    forbidden_error,
)
from tests.unit.snapshots import KEY, build_snapshot

POD = "web-abc-1"
OBJECTS = (builders.app(), builders.pod(POD, builders.crash_loop(5, builders.termination())))
UNAVAILABLE = UnavailableError(503, "ServiceUnavailable", "no")
STARTED = build_record(build_action(uid=f"uid-of-{POD}", evidence=None))
CREATE = "create ConfigMap/web-evidence"


@pytest.fixture
def cluster() -> FakeApiServer:
    """A cluster with a pod that fails."""
    return FakeApiServer(*OBJECTS)


def build_collector(cluster: FakeApiServer, slots: int = 2) -> EvidenceCollector:
    """A collector that reads no Secrets."""
    return EvidenceCollector(
        cluster.client, EvidencePrivacy(cluster.client, "off"), build_slots(slots)
    )


@pytest.fixture
def collector(cluster: FakeApiServer) -> EvidenceCollector:
    """It looks at that cluster."""
    return build_collector(cluster)


async def collect_evidence(
    evidence_collector: EvidenceCollector,
    healing_record: HealingStatus,
    at: float = 91,
    *,
    uid: str = builders.APP_UID,
) -> dict[int, str]:
    """Let it see to what was decided."""
    app_snapshot = build_snapshot(builders.app(uid=uid), builders.deployment(owner=uid), OBJECTS[1])
    evidence = await evidence_collector.collect(
        app_snapshot, build_inputs(app_snapshot, healing_record), None, builders.at(at)
    )
    return dict(evidence.keys)


async def test_taken_once(cluster: FakeApiServer, collector: EvidenceCollector) -> None:
    """Where it is, is said until a record says so."""
    assert {1: "1-replace-pod.txt"} == await collect_evidence(collector, STARTED)

    cluster.requests.clear()

    assert {1: "1-replace-pod.txt"} == await collect_evidence(collector, STARTED)
    assert [] == cluster.requests
    assert {} == await collect_evidence(collector, build_record(build_action()))


async def test_after_a_restart(cluster: FakeApiServer, collector: EvidenceCollector) -> None:
    """What was written down before the crash stays: there may be less to be seen now.

    Nobody knows whether the operator has written it, so there is another one beside it.
    """
    await collect_evidence(collector, STARTED)
    first = dict(cluster.objects_by_path["ConfigMap", "web-evidence"]["data"])
    del cluster.objects_by_path["Pod", POD]

    restarted = build_collector(cluster)
    assert {1: "1-replace-pod-again.txt"} == await collect_evidence(restarted, STARTED)
    data = cluster.objects_by_path["ConfigMap", "web-evidence"]["data"]
    assert first.items() < data.items()
    assert "who wrote 1-replace-pod.txt is not known" in data["1-replace-pod-again.txt"]


async def test_a_forged_text_with_the_right_headline(
    cluster: FakeApiServer, collector: EvidenceCollector, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows the next action may write it first; it does not count as the operator's."""
    headline = f"Action 1: ReplacePod, decided {builders.iso(90)}"
    forged = builders.config(name="web-evidence", data={"1-replace-pod.txt": f"{headline}\nok\n"})
    forged["metadata"]["ownerReferences"] = [builders.app_reference()]
    cluster.objects_by_path["ConfigMap", "web-evidence"] = forged

    assert {1: "1-replace-pod-again.txt"} == await collect_evidence(collector, STARTED)
    text = cluster.objects_by_path["ConfigMap", "web-evidence"]["data"]["1-replace-pod-again.txt"]
    assert text.startswith(headline)
    assert f"Pod {POD}" in text
    assert any("1-replace-pod.txt is not known" in message for message in caplog.messages)


async def test_an_answer_that_got_lost(
    cluster: FakeApiServer, collector: EvidenceCollector
) -> None:
    """What this process has written is known by its digest, though nobody said that it is there."""
    await collect_evidence(collector, STARTED)
    collector._collected.clear()  # noqa: SLF001 - as if the write had had no answer
    cluster.requests.clear()

    assert {1: "1-replace-pod.txt"} == await collect_evidence(collector, STARTED)
    assert ["get ConfigMap/web-evidence"] == cluster.requests


async def test_no_slot_is_free(cluster: FakeApiServer, caplog: pytest.LogCaptureFixture) -> None:
    """The action waits for a minute; then it goes on, and the evidence says why it is short."""
    collector = build_collector(cluster, slots=0)
    for at in (91, 150):
        with pytest.raises(NoSlotError):
            await collect_evidence(collector, STARTED, at)
    assert [] == cluster.requests

    assert {1: "1-replace-pod.txt"} == await collect_evidence(collector, STARTED, 151)
    text = cluster.objects_by_path["ConfigMap", "web-evidence"]["data"]["1-replace-pod.txt"]
    assert f"- everything else: {NO_TURN}" in text
    assert f"shop/web: remediation continues: {NO_TURN}" in caplog.messages


async def test_another_action_waits_for_its_own_time(cluster: FakeApiServer) -> None:
    """A minute, too."""
    collector = build_collector(cluster, slots=0)
    later = build_record(build_action(at=95, evidence=None))
    for at, record in ((91, STARTED), (151, later), (210, later)):
        with pytest.raises(NoSlotError):
            await collect_evidence(collector, record, at)

    assert {} != await collect_evidence(collector, later, 211)


@pytest.mark.parametrize(
    ("later", "uid"),
    [
        (build_record(build_action(at=95, evidence=None)), builders.APP_UID),
        (STARTED, "another"),
    ],
    ids=["the status was lost", "the app was made anew"],
)
async def test_ids_begin_anew(
    cluster: FakeApiServer, collector: EvidenceCollector, later: HealingStatus, uid: str
) -> None:
    """Another action with the same id needs evidence of its own."""
    await collect_evidence(collector, STARTED)
    cluster.requests.clear()
    await collect_evidence(collector, later, 96, uid=uid)

    assert "get ConfigMap/web-evidence" == cluster.requests[0]


async def test_the_server_is_away(cluster: FakeApiServer, collector: EvidenceCollector) -> None:
    """The action waits for it: what it destroys, nobody can write down later."""
    cluster.errors["create"] = UNAVAILABLE
    with pytest.raises(UnavailableError):
        await collect_evidence(collector, STARTED)

    del cluster.errors["create"]

    assert {1: "1-replace-pod.txt"} == await collect_evidence(collector, STARTED)


async def test_it_is_away_for_long(
    cluster: FakeApiServer, collector: EvidenceCollector, caplog: pytest.LogCaptureFixture
) -> None:
    """As when it never answers for ConfigMaps: then it goes on without, and does not ask again."""
    cluster.errors["create"] = UNAVAILABLE

    assert {} == await collect_evidence(collector, STARTED, 150)
    assert {} == await collect_evidence(collector, STARTED, 151)
    assert 1 == cluster.requests.count(CREATE)
    assert ["shop/web: remediation continues without evidence: 503 ServiceUnavailable: no"] == (
        caplog.messages
    )


@pytest.mark.parametrize("error", [forbidden_error(), RuntimeError("a mistake of ours")], ids=str)
async def test_it_cannot_be_kept(
    cluster: FakeApiServer, collector: EvidenceCollector, error: Exception
) -> None:
    """It is a courtesy: what was decided is done without it; nothing asks every second."""
    cluster.errors["create"] = error

    assert {} == await collect_evidence(collector, STARTED)
    assert {} == await collect_evidence(collector, STARTED)
    assert 1 == cluster.requests.count(CREATE)


async def test_an_app_that_is_gone(cluster: FakeApiServer, collector: EvidenceCollector) -> None:
    """Nothing is remembered of it."""
    await collect_evidence(collector, STARTED)
    cluster.requests.clear()
    collector.forget_app(KEY)
    await collect_evidence(collector, STARTED)

    assert [] != cluster.requests


async def test_what_is_new_in_a_version(
    cluster: FakeApiServer, collector: EvidenceCollector
) -> None:
    """Where another is gone back to, the difference tells most."""
    harness = build_snapshot(*OBJECTS)
    kept = build_pod_template(builders.APP, build_spec(image="web:v0"))
    decided = build_record(build_action(Remediation.ROLLBACK, evidence=None))
    await collector.collect(harness, build_inputs(harness, decided), kept, builders.at(91))
    text = cluster.objects_by_path["ConfigMap", "web-evidence"]["data"]["1-rollback.txt"]

    assert "web:v0" in text


async def test_an_app_that_was_left_to_people(
    cluster: FakeApiServer, collector: EvidenceCollector
) -> None:
    """It is looked at then, not long after."""
    left = build_record(
        build_action(Remediation.QUARANTINE, outcome=ActionOutcome.COMPLETED, evidence=None)
    )

    assert {} == await collect_evidence(collector, left, 1000)
    assert [] == cluster.requests
    assert {1: "1-quarantine.txt"} == await collect_evidence(collector, left, 100)
