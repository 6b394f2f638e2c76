"""Who is to blame, in situations as an engineer on call meets them."""

import pytest

from selfhealing.health.attribution import Cause, Confidence, Trial, blame
from selfhealing.health.pod_diagnosis import IllnessType
from tests.unit.builders import at, crash_loop, deployment, ended, pod, progressing, running
from tests.unit.snapshots import Json, facts

ROLLING = deployment(2, conditions=[progressing("ReplicaSetUpdated", "def")])
ENDED = pod("web-def-9", phase="Failed")
NEW = Trial(open=True)
PROVED = Trial(open=False)


def well(name: str, node: str = "node-1") -> Json:
    """A pod that is ready."""
    return pod(name, running(), node=node)


def ill(name: str, node: str = "node-1") -> Json:
    """A pod that crashes."""
    return pod(name, crash_loop(5, ended()), node=node)


def blamed(
    *pods: Json, trial: Trial = PROVED, kind: IllnessType = IllnessType.CRASH_LOOPING
) -> tuple[Cause, Confidence]:
    """What is to blame for what the pods that are not ready have; the current version is def."""
    known = facts(ROLLING, *pods)
    failing = [found for found in known.pods if not found.ready and found.phase != "Failed"]
    return blame(known, kind, failing, trial)


class TestNewVersion:
    """While a version has yet to prove itself."""

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            ([well("web-abc-1"), ill("web-def-1")], (Cause.NEW_VERSION, Confidence.HIGH)),
            ([ill("web-def-1"), ill("web-def-2")], (Cause.NEW_VERSION, Confidence.MEDIUM)),
            ([ill("web-def-1")], (Cause.NEW_VERSION, Confidence.MEDIUM)),
            ([ill("web-def-1"), well("web-def-2")], (Cause.NEW_VERSION, Confidence.MEDIUM)),
            (
                [ill("web-def-1"), well("web-def-2"), well("web-def-3")],
                (Cause.POD, Confidence.MEDIUM),
            ),
            ([ill("web-abc-1"), ill("web-def-1")], (Cause.UNKNOWN, Confidence.LOW)),
            ([ill("web-abc-1"), well("web-def-1")], (Cause.UNKNOWN, Confidence.LOW)),
            ([ill("web-abc-1"), well("web-abc-2")], (Cause.POD, Confidence.MEDIUM)),
            ([ENDED, ill("web-def-1")], (Cause.NEW_VERSION, Confidence.MEDIUM)),
        ],
        ids=[
            "the old one is well",
            "nothing is left to compare with",
            "a single pod",
            "half of it",
            "less than half of it",
            "the old one has it too",
            "only the old one has it",
            "one of the old one has it",
            "pods that will not run again do not count",
        ],
    )
    def test_compared_with_the_old_one(
        self, pods: list[Json], expected: tuple[Cause, Confidence]
    ) -> None:
        """The new one is to blame for what the old one does not have."""
        assert expected == blamed(*pods, trial=NEW)

    def test_one_that_has_proved_itself(self) -> None:
        """What begins later has another reason."""
        assert (Cause.UNKNOWN, Confidence.LOW) == blamed(ill("web-def-1"), well("web-abc-1"))

    @pytest.mark.parametrize(
        ("created", "cause"),
        [(0, Cause.POD), (290, Cause.NEW_VERSION), (300, Cause.NEW_VERSION), (None, Cause.POD)],
    )
    def test_pods_that_were_made_before(self, created: float | None, cause: Cause) -> None:
        """A version is asked for that the Deployment did not get: its pods are another one's.

        The status that says since when is written a moment after the first pod is made.
        """
        thing = pod("web-def-1", crash_loop(5, ended()), created=created)

        assert cause is blamed(thing, trial=Trial(open=True, since=at(300)))[0]

    def test_an_image_that_could_be_pulled_before(self) -> None:
        """The registry is to blame, or a secret: to go back would pull the same image."""
        same = Trial(open=True, same_image=True)
        kind = IllnessType.IMAGE_PULL_FAILING

        assert (Cause.ENVIRONMENT, Confidence.MEDIUM) == blamed(
            well("web-abc-1"), ill("web-def-1"), trial=same, kind=kind
        )
        assert Cause.NEW_VERSION is blamed(ill("web-def-1"), trial=NEW, kind=kind)[0]
        assert Cause.NEW_VERSION is blamed(ill("web-def-1"), trial=same)[0]

    def test_a_new_version_that_can_be_ready(self) -> None:
        """Where one of two hangs, the version is able to be ready."""
        kind = IllnessType.NOT_READY_TOO_LONG

        assert Cause.POD is blamed(ill("web-def-1"), well("web-def-2"), trial=NEW, kind=kind)[0]
        assert (
            Cause.NEW_VERSION is blamed(ill("web-def-1"), ill("web-def-2"), trial=NEW, kind=kind)[0]
        )


class TestPlaces:
    """Where a version has proved itself."""

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            (
                [ill("web-def-1"), ill("web-def-2"), well("web-def-3", "node-2")],
                (Cause.NODE, Confidence.MEDIUM),
            ),
            (
                [ill("web-def-1"), ill("web-def-2"), well("web-def-3")],
                (Cause.POD, Confidence.MEDIUM),
            ),
            (
                [ill("web-def-1"), ill("web-def-2", "node-2"), well("web-def-3", "node-3")],
                (Cause.POD, Confidence.MEDIUM),
            ),
            ([ill("web-def-1"), well("web-def-2", "node-2")], (Cause.POD, Confidence.MEDIUM)),
            ([ill("web-def-1"), ill("web-def-2")], (Cause.UNKNOWN, Confidence.LOW)),
            ([ill("web-def-1"), well("web-abc-1")], (Cause.UNKNOWN, Confidence.LOW)),
            ([ill("web-def-1")], (Cause.POD, Confidence.LOW)),
            ([ill("web-def-1", ""), well("web-def-2")], (Cause.POD, Confidence.MEDIUM)),
        ],
        ids=[
            "two on one node, and others are well elsewhere",
            "two on one node, and one is well there",
            "two on two nodes",
            "one on one node",
            "all of them",
            "well is only another version",
            "there is only one",
            "it has no node",
        ],
    )
    def test_compared_with_others(
        self, pods: list[Json], expected: tuple[Cause, Confidence]
    ) -> None:
        """Only pods of the same version tell whether another pod would do better."""
        assert expected == blamed(*pods)

    def test_no_room(self) -> None:
        """The cluster's matter: a node for the new version may be on its way."""
        kind, alone = IllnessType.UNSCHEDULABLE, ill("web-def-1", "")

        for trial in (NEW, PROVED):
            assert (Cause.ENVIRONMENT, Confidence.HIGH) == blamed(alone, trial=trial, kind=kind)

    @pytest.mark.parametrize("trial", [NEW, PROVED])
    def test_what_no_version_can_cause(self, trial: Trial) -> None:
        """A silent node is one, whatever runs there."""
        assert (Cause.NODE, Confidence.HIGH) == blamed(
            ill("web-def-1"), trial=trial, kind=IllnessType.NODE_LOST
        )

    def test_who_holds_a_pod_that_should_be_gone(self) -> None:
        """Its node, or whoever put a finalizer there."""
        held = pod("web-def-1", running(ready=False), finalizers=["example.com/slow"])
        kind = IllnessType.STUCK_TERMINATING

        assert (Cause.NODE, Confidence.HIGH) == blamed(ill("web-def-1"), kind=kind)
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == blamed(held, kind=kind)
