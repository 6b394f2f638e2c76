import re

import pytest

from hack.scenarios.chaos.__main__ import main
from hack.scenarios.chaos.environment import build_manifest
from hack.scenarios.chaos.experiment import RECOVERY_WINDOW
from hack.scenarios.chaos.faults import FAULTS, Fault, select_faults
from hack.scenarios.common.errors import ScenarioError
from selfhealing.api.healing_spec import HealingSpec
from selfhealing.api.healing_status import Remediation
from selfhealing.api.spec import parse_spec
from selfhealing.health.pod_diagnosis import DiagnosisType


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_names_only_what_there_is(fault: Fault) -> None:
    assert re.fullmatch(r"[a-z-]+", fault.name)
    assert fault.expected.diagnosis in set(DiagnosisType)
    assert set(fault.expected.remediations) <= set(Remediation)
    assert fault.timeout > RECOVERY_WINDOW
    assert fault.description.endswith(".")


@pytest.mark.parametrize("healing", [True, False])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_its_app_is_a_good_one(fault: Fault, healing: bool) -> None:  # noqa: FBT001
    spec = parse_spec(build_manifest(healing, fault.spec, fault.healing)["spec"])

    assert isinstance(spec.healing, HealingSpec)
    assert ("Auto" if healing else "Off") == spec.healing.mode
    assert spec.port


def test_faults_are_found_by_their_names() -> None:
    assert ["bad-image", "hang"] == [fault.name for fault in select_faults(["hang", "bad-image"])]
    assert FAULTS == select_faults([])
    with pytest.raises(ScenarioError, match="there is no fault hung; there are: bad-image, "):
        select_faults(["hung"])


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["list", "--fault", "leak"])

    assert re.match(r"1 fault, about \d+:\d\d:\n  leak  +An app that", capsys.readouterr().out)


def test_an_unknown_fault_is_answered_by_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == main(["run", "--fault", "lek"])

    assert "there is no fault lek; there are: bad-image" in capsys.readouterr().err
