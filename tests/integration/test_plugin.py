"""``kubectl selfheal`` on a real API server, through the real kubectl proxy."""

from functools import partial

import orjson
import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.healing import create_stable_app, fail_image_pulls, wait_for_outcomes
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from selfhealing.plugin.command.main import main

FAILING_IMAGE = "demo:v2"

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A twentieth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


def test_an_action_is_explained_and_approved(
    space: AppNamespace, kubelet: FakeKubelet, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What waits for a person is told, approved with a command, and seen in the history."""
    pods = create_stable_app(space, name, mode="Approve")
    kubelet.set_ready(pods[0], ready=False)
    wait_for_outcomes(space, name, ("ReplacePod", "Proposed"))

    def run(command: str, *arguments: str) -> str:
        assert 0 == main([command, name, "-n", space.name, *arguments])
        return capsys.readouterr().out

    assert f"approve ReplacePod: kubectl selfheal approve {name}" in run("explain")
    assert "批准 ReplacePod" in run("explain", "--lang", "zh")
    assert "approved ReplacePod (id" in run("approve")
    wait_for_outcomes(space, name, ("ReplacePod", "Succeeded"))
    assert "ReplacePod Succeeded" in run("history")
    assert pods[1] in run("status")


def test_a_version_that_was_rolled_back(
    space: AppNamespace, kubelet: FakeKubelet, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tree tells the failed revision from the stable one, and the diff tells the override."""
    create_stable_app(space, name)
    space.patch_spec(name, image=FAILING_IMAGE)
    fail = partial(fail_image_pulls, space, kubelet, name, FAILING_IMAGE)
    wait_for_outcomes(space, name, ("Rollback", "Succeeded"), before_probe=fail)

    def read_roles() -> dict[str, list[str]]:
        assert 0 == main(["status", name, "-n", space.name, "-o", "json"])
        revisions = orjson.loads(capsys.readouterr().out)["revisions"]
        return {revision["images"][0]: revision["roles"] for revision in revisions}

    roles = read_roles()
    assert [["desired", "failed"], ["stable"]] == sorted(roles.values())
    assert 1 == main(["diff", name, "-n", space.name])
    assert "healing: the stable revision" in capsys.readouterr().out
    assert 1 == main(["approve", name, "-n", space.name])
    assert "waits for approval" in capsys.readouterr().err
    assert 0 == main(["retry", name, "-n", space.name])
    eventually(lambda: space.get_status(name)["healing"].get("failedRevision") is None)


def test_a_pause(space: AppNamespace, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is set and ended; what the cluster has is what the spec renders."""
    create_stable_app(space, name)

    assert 0 == main(["diff", name, "-n", space.name]), capsys.readouterr().out
    assert 0 == main(["pause", name, "-n", space.name])
    space.wait_for_phase(name, "Paused")
    assert 0 == main(["unpause", name, "-n", space.name])
    space.wait_for_phase(name, "Ready")
