"""Which values of an app are masked in all text, and in which forms."""

from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given, strategies as st

from selfhealing.evidence.known_values import (
    MAX_LENGTH,
    MAX_VALUES,
    MIN_LENGTH,
    build_known_values,
    find_env_values,
    find_secret_values,
)
from selfhealing.evidence.redaction import redact
from selfhealing.evidence.secret_syntax import MASK

Json = dict[str, Any]


def pod_spec(**variables: str) -> Json:
    """A pod with these variables."""
    env = [{"name": name, "value": value} for name, value in variables.items()]
    return {"containers": [{"name": "app", "image": "registry/web:v1", "env": env}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GREETING", "xyzzy-plugh"),
        ("DB_PASSWORD", "production"),
        ("LICENCE", "swordfish"),
        ("HOOK", "https://hooks.example.com/T0001/x"),
        ("DSN", "postgres://bob:hunter2@db/shop"),
        ("DB_PASSWORD", "123456"),
    ],
)
def test_a_value_is_masked(name: str, value: str) -> None:
    """A value that looks public is masked where its name says that it is secret."""
    assert [value] == list(find_env_values(pod_spec(**{name: value})))


@pytest.mark.parametrize(
    "value",
    [
        "production",
        "DEBUG",
        "123456",
        "1500ms",
        "512.5Mi",
        "/var/lib/data",
        "db.shop.svc.cluster.local",
        "db.shop.svc:5432",
        "http://api:8080",
        "https://api.example.com/",
        "registry/web:v1",
        "the-app",
        "en_US.UTF-8",
        "-Xmx512m",
    ],
)
def test_a_public_value_is_shown(value: str) -> None:
    """Otherwise the text would be useless: lookup <redacted>: no such host."""
    assert [] == list(find_env_values(pod_spec(THING=value), ("the-app",)))


def test_variables_of_all_containers_and_none() -> None:
    """Also of init containers; a reference has no value."""
    spec = {
        "initContainers": [{"name": "init", "env": [{"name": "A", "value": "init-value"}]}],
        "containers": [{"name": "app", "env": [{"name": "B", "valueFrom": {}}, {}]}, {"env": None}],
    }

    assert ["init-value"] == list(find_env_values(spec))
    assert [] == list(find_env_values({}))


def test_the_data_of_a_secret() -> None:
    """Binary data is looked for as it is printed: in base64."""
    binary = b64encode(b"\xff\xfe\xfd\xfc").decode()
    data = {"password": b64encode("pässword".encode()).decode(), "key": binary}

    assert ["pässword", binary] == list(find_secret_values({"data": data}))
    assert [] == list(find_secret_values({"data": None}))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Z"]), min_size=MIN_LENGTH))
def test_every_form_of_a_value_is_masked(value: str) -> None:
    """As it is, in base64, in a URL."""
    assume(value not in MASK)
    known = build_known_values([value])
    encoded = b64encode(value.encode()).decode()

    for form in (value, encoded, encoded.rstrip("="), quote(value, safe="")):
        assert form not in redact(f"a {form} b", known)


def test_each_line_of_a_value_is_masked() -> None:
    """A log shows a key line by line."""
    known = build_known_values(["first line\nshort\n  second line\n"])

    assert "<redacted> and <redacted>, short" == redact("first line and second line, short", known)


def test_the_bounds() -> None:
    """Short values stand everywhere, long ones nowhere, and there are not too many."""
    assert () == build_known_values(["a", "12345", "x" * (MAX_LENGTH + 1), ""])
    assert len(build_known_values(f"value-{number}" for number in range(9999))) <= 5 * MAX_VALUES


def test_a_mask_is_not_masked() -> None:
    """The history of healing is redacted again each time that the status is built."""
    known = build_known_values(["redacted", "<redacted>", "hunter-2"])

    assert "a <redacted> b" == redact("a <redacted> b", known) == redact("a hunter-2 b", known)


def test_the_longest_value_is_first() -> None:
    """A value that is a part of another does not split it."""
    known = build_known_values(["secret", "secret-and-more"])

    assert "<redacted>" == redact("secret-and-more", known)
