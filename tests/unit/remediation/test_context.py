"""One app as the engine of healing sees it."""

from typing import Any

import pytest

from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.spec import parse
from selfhealing.health.assessment import diagnose
from selfhealing.health.attribution import Cause
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.health.termination_causes import Causes
from selfhealing.remediation.context import Case, Examination, Situation, case_of
from selfhealing.remediation.engine import fresh
from selfhealing.remediation.policy import policy
from selfhealing.render.overrides import version
from tests.unit.builders import (
    app,
    at,
    autoscaler,
    crash_loop,
    deployment,
    ended,
    evicted,
    iso,
    pod,
    progressing,
    running,
)
from tests.unit.snapshots import Json, facts

SPEC: Json = {"image": "web:v1", "resources": {"limits": {"memory": "64Mi"}}}
VERSION = version("web", parse(SPEC))
LOOPING = pod("web-abc-1", crash_loop(4, ended()))


def case(
    *objects: Json,
    record: HealingStatus | None = None,
    now: float = 1000,
    rollout: Json | None = None,
    **meta: Any,  # noqa: ANN401 - metadata
) -> Case:
    """The case of an app with this record."""
    asked = {**SPEC, "rollout": rollout} if rollout is not None else SPEC
    known, spec, causes, alarm = (
        facts(app(asked, **meta), *objects),
        parse(asked),
        Causes(),
        Alarm(at(now)),
    )
    diagnosis = diagnose(known, causes, alarm)
    examination = Examination(known, spec, diagnosis, causes, record or fresh())
    return case_of(examination, policy(spec), Situation(), alarm)


def blamed(record: HealingStatus, *, observed: bool = True) -> Cause:
    """What is to blame for a pod that crashes, made at noon."""
    return case(deployment(1, observed=observed), LOOPING, record=record).illnesses[0].cause


def test_a_well_app() -> None:
    """Everything that a decision depends on."""
    gone = pod("web-abc-3", running(), deletionTimestamp=iso(999))
    found = case(
        deployment(2),
        pod("web-abc-1", running()),
        pod("web-abc-2", running()),
        gone,
        evicted("web-abc-4"),
    )

    assert (VERSION, "web:v1", "64Mi", ()) == (
        found.version,
        found.image,
        found.memory,
        found.illnesses,
    )
    assert (True, False, False) == (found.well, found.idle, found.held)
    assert (2, 2) == (found.wanted, found.ready)
    assert {"uid-of-web-abc-1", "uid-of-web-abc-2"} == found.uids
    assert ("", "") == (found.approve, found.resume)


def test_what_people_ask_for() -> None:
    """In annotations of the app."""
    asked = {"selfhealing.dev/approve": "7", "selfhealing.dev/resume": "now"}
    found = case(deployment(1), annotations=asked)

    assert ("7", "now") == (found.approve, found.resume)


class TestWell:
    """Every pod that is wanted is there and ready, and nothing ails one of them."""

    @pytest.mark.parametrize(
        ("objects", "well", "idle"),
        [
            ([], False, True),
            ([deployment(0)], False, True),
            ([deployment(1), LOOPING], False, False),
            ([deployment(2), pod("web-abc-1", running())], False, False),
            ([deployment(1, observed=False), pod("web-abc-1", running())], False, False),
            (
                [
                    deployment(1),
                    pod(
                        "web-abc-1", running(998, restarts=4, last=ended(finished=997, started=700))
                    ),
                ],
                False,
                False,
            ),
        ],
        ids=["nothing", "scaled to zero", "ill", "one is missing", "not taken up", "flaps"],
    )
    def test_it_is_not(self, objects: list[Json], well: bool, idle: bool) -> None:  # noqa: FBT001 - a table's columns
        """An app without pods is not well either: nothing has been proved."""
        found = case(*objects)

        assert (well, idle) == (found.well, found.idle)

    @pytest.mark.parametrize(
        ("other", "ill"),
        [
            (
                pod("web-abc-2", running(), ready=False, ready_reason="", deletionTimestamp=iso(0)),
                IllnessType.STUCK_TERMINATING,
            ),
            (
                autoscaler(active="False", reason="FailedGetResourceMetric", since=0),
                IllnessType.METRICS_UNAVAILABLE,
            ),
        ],
    )
    def test_it_is_although_something_ails(self, other: Json, ill: IllnessType) -> None:
        """What the silent node of a replaced pod keeps for days is not the app's illness."""
        found = case(deployment(1), pod("web-abc-1", running()), other)

        assert ([ill], True) == ([illness.type for illness in found.illnesses], found.well)


class TestTrial:
    """Whether the version that runs has yet to prove itself."""

    @pytest.mark.parametrize(
        ("fields", "cause"),
        [
            ({"template": VERSION, "template_since": at(0)}, Cause.NEW_VERSION),
            ({"template": VERSION, "template_since": at(500)}, Cause.POD),
            ({"template": "other", "template_since": at(0)}, Cause.POD),
            ({"template": VERSION, "good_template": VERSION}, Cause.POD),
            ({"template": VERSION, "failed_template": VERSION}, Cause.POD),
        ],
        ids=[
            "it is new",
            "the pod is older than it",
            "it has just been asked for",
            "it has proved itself",
            "it has failed and does not run",
        ],
    )
    def test_who_is_to_blame(self, fields: Json, cause: Cause) -> None:
        """Only a version that runs, that is new, and whose pod it is."""
        assert cause is blamed(HealingStatus(mode="Auto", budget_left=3, **fields))

    def test_a_change_that_is_not_taken_up(self) -> None:
        """The pods that are seen are those of the version before."""
        record = HealingStatus(mode="Auto", budget_left=3, template=VERSION, template_since=at(0))

        assert Cause.POD is blamed(record, observed=False)

    @pytest.mark.parametrize(
        ("image", "cause"), [("web:v1", Cause.ENVIRONMENT), ("web:v0", Cause.NEW_VERSION)]
    )
    def test_the_same_image(self, image: str, cause: Cause) -> None:
        """As that of the version to go back to."""
        status = {"name": "app", "ready": False, "state": {"waiting": {"reason": "ErrImagePull"}}}
        record = HealingStatus(
            mode="Auto",
            budget_left=3,
            template=VERSION,
            template_since=at(0),
            good_template="good",
            good_image=image,
        )
        found = case(deployment(1), pod("web-abc-1", status), record=record)

        assert [cause] == [illness.cause for illness in found.illnesses]


def test_somebody_has_paused_the_deployment() -> None:
    """Then nothing that is written to it would reach the pods."""
    held = deployment(1, conditions=[progressing("DeploymentPaused", status="Unknown")])

    assert case(held).held


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (None, False),
        ({"minReadySeconds": 5}, False),
        ({"strategy": {"type": "RollingUpdate"}}, False),
        ({"strategy": {"type": "Recreate"}}, True),
    ],
)
def test_a_rollout_that_stops_all_pods(rollout: Json | None, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """As the spec says, whatever the Deployment does now."""
    assert expected is case(deployment(1), pod("web-abc-1", running()), rollout=rollout).recreates
