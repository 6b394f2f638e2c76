import re
from itertools import pairwise

import pytest

from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.exam.__main__ import main
from hack.scenarios.exam.environment import APP_NAME, build_manifest
from hack.scenarios.exam.fault import FOREIGN_EDIT_CAUSES, STRIP, Fault, Way
from hack.scenarios.exam.faults import FAULTS, UNINJECTABLE, select_faults
from selfhealing.api.healing_spec import HealingSpec
from selfhealing.api.healing_status import Remediation
from selfhealing.api.spec import parse_spec
from selfhealing.health.attribution import Cause

ROWS = 36
"""The rows of the outside list."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_row_names_only_what_there_is(fault: Fault) -> None:
    expected = fault.expected
    assert set(expected.causes) <= {*Cause, *FOREIGN_EDIT_CAUSES}
    assert set(expected.remediations) <= {*Remediation, *STRIP}
    assert bool(expected.types) is bool(expected.causes)
    assert not (expected.types and expected.event)
    assert expected.is_healable or not expected.remediations
    assert fault.due_after(0.2) <= fault.due_after(1.0)
    assert len(f"exam-{fault.name}-off-x") <= 40
    assert not fault.title.endswith(".")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_its_app_is_a_good_one(fault: Fault) -> None:
    for healing in (True, False):
        manifest = build_manifest("exam", fault.spec, fault.healing, healing=healing)
        spec = parse_spec(manifest["spec"])

        assert isinstance(spec.healing, HealingSpec)
        assert ("Auto" if healing else "Off") == spec.healing.mode
        assert spec.port
        assert APP_NAME == manifest["metadata"]["name"]


def test_every_row_of_the_outside_list_is_injected_or_has_a_reason() -> None:
    assert set(range(1, ROWS + 1)) == {
        *(fault.number for fault in FAULTS),
        *(fault.number for fault in UNINJECTABLE),
    }
    assert len(FAULTS) == len({fault.name for fault in FAULTS})
    assert all(first.number <= second.number for first, second in pairwise(FAULTS))


def test_the_drills_are_rows() -> None:
    assert 11 == sum(fault.is_drill for fault in FAULTS)


def test_rows_are_found_by_name_and_by_number() -> None:
    assert ["14-child"] == [fault.name for fault in select_faults(["14-child"])]
    assert {Way.SPEC, Way.CHILD} == {fault.way for fault in select_faults(["2"])}
    assert FAULTS == select_faults([])
    assert all(fault.is_drill for fault in select_faults([], drills=True))
    with pytest.raises(ScenarioError, match="there is no row 99; there are: 1-spec, "):
        select_faults(["99"])


def test_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["list", "--fault", "14-child"])
    assert re.match(r"1 row, about \d+:\d\d:\n  14-child  +A node", capsys.readouterr().out)

    assert 0 == main(["list"])
    assert "needs the add-on kube-router" in capsys.readouterr().out


def test_an_unknown_row_is_answered_by_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == main(["run", "--fault", "lek"])

    assert "there is no row lek; there are: 1-spec" in capsys.readouterr().err


def test_a_scale_is_above_0_and_at_most_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "--scale", "2"])

    assert "a number above 0 and at most 1" in capsys.readouterr().err
