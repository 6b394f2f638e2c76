"""A status that the version before the renaming has written is read without a loss."""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from hack.testkit.yaml_text import parse_yaml
from selfhealing.api.healing_spec import HealingSpec
from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    RaisedLimitStatus,
    Remediation,
)
from selfhealing.api.spec import parse_spec
from selfhealing.api.status import read_status
from selfhealing.api.status_migration import (
    RENAMED_ACTION_FIELDS,
    RENAMED_FIELDS,
    RENAMED_VALUES,
    migrate_healing_status,
)
from tests.unit.builders import at

Json = dict[str, Any]

RECORDED: Final[Json] = orjson.loads(
    (Path(__file__).parent / "recorded" / "status-before-rename.json").read_bytes()
)
"""A status as the version before the renaming has written it."""

CRD: Final = Path(__file__).parents[3] / "crd" / "selfhealingapp.yaml"

EXPECTED = HealingStatus(
    mode="Auto",
    budget_left=1,
    blocked_reason=BlockedReason.STALE_CACHE,
    cooldown_until=at(240),
    quarantine=QuarantineStatus(pod="web-abc-9", uid="uid-of-web-abc-9", until=at(55 * 60)),
    desired_revision="59daf91450",
    desired_since=at(-20 * 60),
    healthy_since=at(-60),
    stable_revision="1aabd41fea",
    stable_image="web:v0",
    failed_revision="59daf91450",
    memory_limits=[RaisedLimitStatus(container="app", limit="192Mi")],
    memory_in_template=True,
    excluded_node="node-2",
    fallback_replicas=4,
    budget_reset_time=at(-30 * 60),
    observed_resume="monday",
    next_id=9,
    diagnoses=[
        DiagnosisStatus(
            type="Hung",
            cause="Pod",
            confidence="High",
            pods=1,
            message="web-abc-1: not ready for 5m",
        )
    ],
    history=[
        HealingAction(
            id=8,
            remediation=Remediation.REPLACE_POD,
            diagnosis="Hung",
            target="web-abc-1",
            uid="uid-of-web-abc-1",
            outcome=ActionOutcome.IN_PROGRESS,
            at=at(90),
            message="web-abc-1: not ready for 5m",
            evidence="8-recycle.txt",
        ),
        HealingAction(
            id=7,
            remediation=Remediation.AVOID_NODE,
            diagnosis="CrashLooping",
            target="node-2",
            outcome=ActionOutcome.SUCCEEDED,
            at=at(-5 * 60),
            ended_at=at(-4 * 60),
            message="3 of 3 pods on node-2 fail, and none elsewhere",
            evidence="7-relocate.txt",
        ),
        HealingAction(
            id=6,
            remediation=Remediation.RAISE_MEMORY,
            diagnosis="OOMKilled",
            outcome=ActionOutcome.FAILED,
            at=at(-10 * 60),
            ended_at=at(-8 * 60),
            message="128Mi to 192Mi",
        ),
        HealingAction(
            id=5,
            remediation=Remediation.QUARANTINE,
            diagnosis="CrashLooping",
            target="web-abc-9",
            uid="uid-of-web-abc-9",
            outcome=ActionOutcome.COMPLETED,
            at=at(-15 * 60),
            ended_at=at(-15 * 60),
        ),
        HealingAction(
            id=4,
            remediation=Remediation.ROLLBACK,
            diagnosis="ImagePullFailing",
            target="1aabd41fea",
            outcome=ActionOutcome.SUPERSEDED,
            at=at(-25 * 60),
            ended_at=at(-24 * 60),
        ),
        HealingAction(
            id=3,
            remediation=Remediation.FAILOVER,
            diagnosis="NodeLost",
            target="node-3",
            outcome=ActionOutcome.OBSERVED,
            at=at(-28 * 60),
        ),
    ],
)


def prune(value: Any, schema: Json) -> Any:  # noqa: ANN401 - any JSON value
    """Prune a value as the API server does (Kubernetes KEP-2332)."""
    if isinstance(value, list):
        return [prune(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "additionalProperties" in schema:
        return value
    properties = schema.get("properties", {})
    keeps_unknown = schema.get("x-kubernetes-preserve-unknown-fields", False)
    return {
        name: prune(field, properties[name]) if name in properties else field
        for name, field in value.items()
        if name in properties or keeps_unknown
    }


def crd_schema(part: str) -> Json:
    """Return the schema of `spec` or `status` in the CRD."""
    crd = parse_yaml(CRD.read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    schema: Json = version["schema"]["openAPIV3Schema"]["properties"][part]
    return schema


class TestStatus:
    """`status.healing` with the old names."""

    def test_nothing_is_lost(self) -> None:
        """Budget, cooldown, revisions, quarantine, overrides and the running action are kept."""
        assert EXPECTED == read_status({"healing": RECORDED["healing"]}).healing
        assert EXPECTED == read_status(RECORDED).healing

    def test_the_recording_has_every_old_name(self) -> None:
        """Each renamed field and at least one value of each renamed enum is tested."""
        healing = RECORDED["healing"]
        values = {healing["hold"], *(a["remedy"] for a in healing["history"])}
        outcomes = {action["outcome"] for action in healing["history"]}

        assert set(RENAMED_FIELDS) <= healing.keys()
        assert all(RENAMED_ACTION_FIELDS.keys() <= action.keys() for action in healing["history"])
        assert set(RENAMED_VALUES["outcome"]) <= outcomes
        assert set(RENAMED_VALUES["remediation"]) <= values
        assert values & set(RENAMED_VALUES["blockedReason"])

    def test_every_new_name_exists(self) -> None:
        """The names on the right are fields and values of the models."""
        fields = {field.alias for field in HealingStatus.model_fields.values()}
        action_fields = {field.alias for field in HealingAction.model_fields.values()}

        assert set(RENAMED_FIELDS.values()) <= fields
        assert set(RENAMED_ACTION_FIELDS.values()) <= action_fields
        assert set(RENAMED_VALUES["blockedReason"].values()) <= {*BlockedReason}
        assert set(RENAMED_VALUES["remediation"].values()) <= {*Remediation}
        assert set(RENAMED_VALUES["outcome"].values()) <= {*ActionOutcome}

    def test_the_api_server_keeps_the_old_fields(self) -> None:
        """A stored resource is pruned when it is read from etcd: with this CRD nothing is cut."""
        assert RECORDED["healing"] == prune(RECORDED, crd_schema("status"))["healing"]

    def test_the_stored_status_is_not_changed(self) -> None:
        """Reading does not write."""
        before = orjson.dumps(RECORDED)

        read_status(RECORDED)

        assert before == orjson.dumps(RECORDED)

    def test_a_status_with_new_names_is_unchanged(self) -> None:
        """A status of this version is read as it is."""
        stored = EXPECTED.model_dump(mode="json", by_alias=True, exclude_none=True)

        assert stored == migrate_healing_status(stored)

    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            ({"memoryLimit": "1Gi"}, [("app", "1Gi")]),
            ({"memoryLimit": 7}, []),
            ({"memoryLimit": None}, []),
            (
                {"memoryLimit": "1Gi", "memoryLimits": [{"container": "proxy", "limit": "2Gi"}]},
                [("proxy", "2Gi")],
            ),
        ],
        ids=["of the app's container", "no text", "none", "both"],
    )
    def test_the_one_memory_limit(self, stored: Json, expected: list[tuple[str, str]]) -> None:
        """It was that of the app's container."""
        found = read_status({"healing": {"mode": "Auto", "budgetLeft": 3, **stored}}).healing

        assert found is not None
        assert expected == [(entry.container, entry.limit) for entry in found.memory_limits]

    @pytest.mark.parametrize("old_name_first", [True, False])
    def test_the_new_name_wins(self, *, old_name_first: bool) -> None:
        """Both versions have written the field: the value under the new name is the later one."""
        pairs = [("goodTemplate", "old"), ("stableRevision", "new")]

        assert {"stableRevision": "new"} == migrate_healing_status(
            dict(pairs if old_name_first else reversed(pairs))
        )

    @pytest.mark.parametrize(
        "healing", [{"hold": 7}, {"history": "none"}, {"history": [7, {"remedy": ["Recycle"]}]}]
    )
    def test_what_is_not_understood_is_left_to_validation(self, healing: Json) -> None:
        """A value of another type is renamed but not translated, and causes no error."""
        stored = {**RECORDED["healing"], **healing}

        found = read_status({"healing": stored}).healing

        assert found is not None
        assert "1aabd41fea" == found.stable_revision


class TestSpec:
    """`spec.healing` with the old names."""

    def test_recycle_is_read_as_replace_pod(self) -> None:
        """Whoever switched the replacement of pods off has it switched off after the upgrade."""
        spec = parse_spec(
            {"image": "web:v1", "healing": {"recycle": {"enabled": False, "after": "2m"}}}
        )

        assert spec.healing is not None
        assert (False, "2m") == (spec.healing.replace_pod.enabled, spec.healing.replace_pod.after)

    def test_replace_pod_wins(self) -> None:
        """Both names: the value under the new name is in force."""
        healing = HealingSpec.model_validate(
            {"recycle": {"after": "2m"}, "replacePod": {"after": "3m"}}
        )

        assert "3m" == healing.replace_pod.after

    def test_keep_is_read_as_ttl(self) -> None:
        """The API server fills in the default of `ttl` beside a stored `keep`."""
        healing = HealingSpec.model_validate({"quarantine": {"keep": "2h", "ttl": "1h"}})

        assert "2h" == healing.quarantine.ttl

    def test_the_api_server_keeps_the_old_fields(self) -> None:
        """A stored spec is not pruned of them."""
        healing = {
            "recycle": {"enabled": False, "after": "2m"},
            "quarantine": {"isolate": True, "keep": "2h"},
        }

        assert {"healing": healing} == prune({"healing": healing}, crd_schema("spec"))
