"""A status has a largest size: by its schema, and as the operator writes it."""

import random
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.status import SelfHealingAppStatus
from selfhealing.cache.views import MAX_STATUS_BYTES
from selfhealing.status.size_limit import SHORT_TEXT, limit_status_size, measure_status
from tests.unit.api.test_status_migration import crd_schema
from tests.unit.examples import scale_examples

Json = dict[str, Any]

CHARACTERS: Final = ("x", "é", "語", "😀")
"""Characters of one to four bytes."""


@cache
def status_schema() -> Json:
    """Return the schema of the status in the CRD."""
    return crd_schema("status")


def walk(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield each part of a schema with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from walk(part, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from walk(schema[inner], f"{path}[]")


def is_bounded(schema: Json) -> bool:
    """Whether a value has a largest size, if its parts have."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return False
    if schema["type"] == "string":
        return "maxLength" in schema or "enum" in schema
    if schema["type"] == "array":
        return "maxItems" in schema
    if "additionalProperties" in schema:
        rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]
        return "maxProperties" in schema and any("key.size() <=" in rule for rule in rules)
    return schema["type"] in {"object", "integer", "boolean"}


def test_every_part_of_the_status_is_bounded() -> None:
    """Whoever may write the status cannot put any number of bytes into it."""
    assert [] == [path for path, part in walk(status_schema(), "status") if not is_bounded(part)]


def fill(schema: Json, character: str, chance: random.Random, share: float) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value whose texts and lists have between ``share`` and all of their length."""
    kind, part = schema["type"], chance.uniform(share, 1)
    if kind == "string":
        return fill_text(schema, character, part)
    if kind == "array":
        count = round(schema["maxItems"] * part)
        return [fill(schema["items"], character, chance, share) for _ in range(count)]
    if kind != "object":
        return 2**31 - 1 if kind == "integer" else True
    parts = schema.get("properties") or {
        f"{number:03}" + character * 125: schema["additionalProperties"]
        for number in range(round(schema["maxProperties"] * part))
    }
    return {name: fill(inner, character, chance, share) for name, inner in parts.items()}


def fill_text(schema: Json, character: str, part: float) -> str:
    """Return a part of the longest text."""
    if "enum" in schema:
        return str(max(schema["enum"], key=len))
    if schema.get("format") == "date-time":
        return "2026-11-23T12:00:00Z"
    length: int = round(schema["maxLength"] * part)
    return ("x" if "pattern" in schema else character) * length


def build_large_status(character: str, seed: int = 0, share: float = 1) -> SelfHealingAppStatus:
    """Return a status whose every text has this character."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return SelfHealingAppStatus.model_validate(
        fill(status_schema(), character, chance, share), by_alias=True, by_name=False
    )


def without_messages(record: HealingStatus | None) -> Json:
    """Return a record without what only people read."""
    assert record is not None
    return record.model_dump(
        exclude={
            "diagnoses": {"__all__": {"message"}},
            "history": {"__all__": {"message", "comparison"}},
        }
    )


@settings(max_examples=scale_examples(20), deadline=None)
@given(st.sampled_from(CHARACTERS), st.integers(0, 2**32), st.sampled_from([0, 0.5, 0.9, 1]))
def test_the_operator_writes_no_status_that_it_does_not_keep(
    character: str, seed: int, share: float
) -> None:
    """Whatever the texts are; what healing and the counts go by is never cut."""
    before = build_large_status(character, seed, share)

    after = limit_status_size(before)

    assert measure_status(after) <= MAX_STATUS_BYTES
    assert without_messages(before.healing) == without_messages(after.healing)
    assert before.restarts is not None
    assert after.restarts is not None
    exclude = {"counted": {"__all__": {"reason"}}}
    assert before.restarts.model_dump(exclude=exclude) == after.restarts.model_dump(exclude=exclude)


def test_a_status_that_is_small_enough_is_unchanged() -> None:
    """The messages of a status are long for a reason."""
    status = build_large_status("x", share=0).model_copy(update={"pods": []})
    assert measure_status(status) <= MAX_STATUS_BYTES

    assert status is limit_status_size(status)


@pytest.mark.parametrize(
    ("character", "entries", "expected"),
    [
        ("x", 200, (False, True, True)),
        ("é", 170, (True, True, True)),
        ("é", 200, (True, False, True)),
        ("語", 200, (True, False, False)),
    ],
)
def test_no_more_is_left_out_than_needed(
    character: str, entries: int, expected: tuple[bool, bool, bool]
) -> None:
    """First the messages are shortened, then the pods go, and last the reasons of restarts."""
    large = build_large_status(character)
    assert large.restarts is not None
    restarts = large.restarts.model_copy(update={"counted": large.restarts.counted[:entries]})

    found = limit_status_size(large.model_copy(update={"restarts": restarts}))

    assert found.restarts is not None
    assert expected == (
        all(len(condition.message) <= SHORT_TEXT for condition in found.conditions),
        bool(found.pods),
        all(entry.reason for entry in found.restarts.counted),
    )
