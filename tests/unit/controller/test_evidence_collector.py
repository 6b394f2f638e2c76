"""Evidence comes before its action, once, and keeps nobody from being healed for long."""

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remedy
from selfhealing.controller.evidence_collector import Witness
from selfhealing.kube.errors import UnavailableError
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.fake_api_server import Cluster, action, forbidden, record, spec
from tests.unit.snapshots import KEY, facts

POD = "web-abc-1"
THERE = (builders.app(), builders.pod(POD, builders.crash_loop(5, builders.ended())))
AWAY = UnavailableError(503, "ServiceUnavailable", "no")
STARTED = record(action(uid=f"uid-of-{POD}", evidence=None))
CREATE = "create ConfigMap/web-evidence"


@pytest.fixture
def cluster() -> Cluster:
    """A cluster with a pod that fails."""
    return Cluster(*THERE)


@pytest.fixture
def witness(cluster: Cluster) -> Witness:
    """It looks at that cluster."""
    return Witness(cluster.client)


async def see(
    witness: Witness, decided: HealingStatus, at: float = 91, *, uid: str = builders.APP_UID
) -> dict[int, str]:
    """Let it see to what was decided."""
    there = facts(builders.app(uid=uid), THERE[1])
    return dict(await witness.see(there, spec(), decided, None, builders.at(at)))


async def test_taken_once(cluster: Cluster, witness: Witness) -> None:
    """Where it is, is said until a record says so."""
    assert {1: "1-recycle.txt"} == await see(witness, STARTED)

    cluster.asked.clear()

    assert {1: "1-recycle.txt"} == await see(witness, STARTED)
    assert [] == cluster.asked
    assert {} == await see(witness, record(action()))


async def test_after_a_restart(cluster: Cluster, witness: Witness) -> None:
    """What was written down before the crash stays: there may be less to be seen now."""
    await see(witness, STARTED)
    found = cluster.objects_by_path["ConfigMap", "web-evidence"]
    del cluster.objects_by_path["Pod", POD]

    assert {1: "1-recycle.txt"} == await see(Witness(cluster.client), STARTED)
    assert found == cluster.objects_by_path["ConfigMap", "web-evidence"]


@pytest.mark.parametrize(
    ("later", "uid"),
    [
        (record(action(at=95, evidence=None)), builders.APP_UID),
        (STARTED, "another"),
    ],
    ids=["the status was lost", "the app was made anew"],
)
async def test_ids_begin_anew(
    cluster: Cluster, witness: Witness, later: HealingStatus, uid: str
) -> None:
    """Another action with the same id needs evidence of its own."""
    await see(witness, STARTED)
    cluster.asked.clear()
    await see(witness, later, 96, uid=uid)

    assert "get ConfigMap/web-evidence" == cluster.asked[0]


async def test_the_server_is_away(cluster: Cluster, witness: Witness) -> None:
    """The action waits for it: what it destroys, nobody can write down later."""
    cluster.errors["create"] = AWAY
    with pytest.raises(UnavailableError):
        await see(witness, STARTED)

    del cluster.errors["create"]

    assert {1: "1-recycle.txt"} == await see(witness, STARTED)


async def test_it_is_away_for_long(
    cluster: Cluster, witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """As when it never answers for ConfigMaps: then it goes on without, and does not ask again."""
    cluster.errors["create"] = AWAY

    assert {} == await see(witness, STARTED, 150)
    assert {} == await see(witness, STARTED, 151)
    assert 1 == cluster.asked.count(CREATE)
    assert ["shop/web: healing goes on without evidence: 503 ServiceUnavailable: no"] == (
        caplog.messages
    )


@pytest.mark.parametrize("error", [forbidden(), RuntimeError("a mistake of ours")], ids=str)
async def test_it_cannot_be_kept(cluster: Cluster, witness: Witness, error: Exception) -> None:
    """It is a courtesy: what was decided is done without it; nothing asks every second."""
    cluster.errors["create"] = error

    assert {} == await see(witness, STARTED)
    assert {} == await see(witness, STARTED)
    assert 1 == cluster.asked.count(CREATE)


async def test_an_app_that_is_gone(cluster: Cluster, witness: Witness) -> None:
    """Nothing is remembered of it."""
    await see(witness, STARTED)
    cluster.asked.clear()
    witness.forget(KEY)
    await see(witness, STARTED)

    assert [] != cluster.asked


async def test_what_is_new_in_a_version(cluster: Cluster, witness: Witness) -> None:
    """Where another is gone back to, the difference tells most."""
    there = facts(*THERE)
    kept = build_pod_template(builders.APP, spec(image="web:v0"))
    decided = record(action(Remedy.ROLLBACK, evidence=None))
    await witness.see(there, spec(), decided, kept, builders.at(91))
    text = cluster.objects_by_path["ConfigMap", "web-evidence"]["data"]["1-rollback.txt"]

    assert "web:v0" in text


async def test_an_app_that_was_left_to_people(cluster: Cluster, witness: Witness) -> None:
    """It is looked at then, not long after."""
    left = record(action(Remedy.QUARANTINE, outcome=ActionOutcome.DONE, evidence=None))

    assert {} == await see(witness, left, 1000)
    assert [] == cluster.asked
    assert {1: "1-quarantine.txt"} == await see(witness, left, 100)
