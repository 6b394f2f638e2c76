from dataclasses import fields

import pytest
from hypothesis import given, strategies as st

from app import settings
from app.settings import AccessLog, Settings, SettingsError, load


def test_the_defaults_are_those_of_the_lab() -> None:
    """Nothing needs to be set; an empty variable is one that is not set."""
    assert Settings() == load({}) == load({"PORT": "", "MESSAGE": ""})
    assert Settings().port == 5000


def test_each_variable_sets_its_field() -> None:
    environ = {
        "HOST": "::",
        "PORT": "8080",
        "THREADS": "2",
        "MESSAGE": "v2",
        "WORK_SECONDS": "0.25",
        "LINGER_SECONDS": "0",
        "GRACE_SECONDS": "20",
        "ACCESS_LOG": "all",
        "PORT_GRPC": "50051",
        "DEMO_PORT": "tcp://10.0.0.1:80",
    }

    assert Settings("::", 8080, 2, "v2", 0.25, 0, 20, AccessLog.ALL, 50051) == load(environ)


def test_every_field_has_its_variable() -> None:
    """A new field that cannot be set, or a variable without a field, is a mistake."""
    assert {f.name.upper() for f in fields(Settings)} == set(settings._READERS)  # noqa: SLF001


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "5000.0", "a whole number from 0 to 65535"),
        ("THREADS", "0", "a whole number from 1 to 64"),
        ("WORK_SECONDS", "-1", "seconds from 0 to 60"),
        ("GRACE_SECONDS", "nan", "seconds from 0 to 60"),
        ("LINGER_SECONDS", "soon", "seconds from 0 to 60"),
        ("HOST", "localhost", "an IP address, such as 0.0.0.0 or ::"),
        ("ACCESS_LOG", "loud", "one of all, quiet, off"),
    ],
)
def test_a_bad_value_is_shown_with_what_was_expected(
    variable: str, text: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable: text})

    assert f"{variable}={text!r}: expected {expected}" == str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(settings._READERS)), st.text(max_size=20)))  # noqa: SLF001
def test_any_environment_gives_settings_or_one_line_per_mistake(environ: dict[str, str]) -> None:
    try:
        load(environ)
    except SettingsError as error:
        lines = str(error).split("\n")
        assert {line.split("=")[0] for line in lines} <= set(environ)
        assert len(lines) <= len(environ)
