"""The settings: every one by variable and by flag, and errors that say what to write."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.controller.settings import Settings, SettingsError, load_settings

GIVEN: dict[str, tuple[str, Any]] = {
    "namespaces": ("shop, bank", ("shop", "bank")),
    "workers": ("3", 3),
    "debounce": ("0.2", 0.2),
    "status_interval": ("1.5", 1.5),
    "relist_interval": ("60", 60.0),
    "request_timeout": ("5", 5.0),
    "leader_election": ("on", "on"),
    "lease_name": ("mine", "mine"),
    "lease_namespace": ("ops", "ops"),
    "lease_duration": ("30", 30.0),
    "lease_renew": ("3", 3.0),
    "healing_scale": ("0.01", 0.01),
    "healing_quiet": ("0", 0.0),
    "config_watch": ("all", "all"),
    "stall_limit": ("90", 90.0),
    "metrics_port": ("9000", 9000),
    "metrics_auth": ("token", "token"),
    "metrics_tls_cert_file": ("/tls/tls.crt", "/tls/tls.crt"),
    "metrics_tls_key_file": ("/tls/tls.key", "/tls/tls.key"),
    "health_port": ("0", 0),
    "log_format": ("json", "json"),
    "log_level": ("debug", "debug"),
}
"""Each setting as it is written, and what that means; none is the default."""

PAIR = ("metrics_tls_cert_file", "metrics_tls_key_file")
"""Settings that are only given together."""

BAD = [
    ("workers", "many", "valid integer"),
    ("workers", "0", "greater than or equal to 1"),
    ("workers", "257", "less than or equal to 256"),
    ("workers", "1.5", "valid integer"),
    ("workers", "", "valid integer"),
    ("debounce", "-1", "greater than or equal to 0"),
    ("debounce", "6", "less than or equal to 5"),
    ("debounce", "nan", "finite number"),
    ("status_interval", "61", "less than or equal to 60"),
    ("relist_interval", "4", "greater than or equal to 5"),
    ("relist_interval", "inf", "finite number"),
    ("request_timeout", "0", "greater than 0"),
    ("request_timeout", "301", "less than or equal to 300"),
    ("leader_election", "yes", "'auto', 'on' or 'off'"),
    ("lease_duration", "2", "greater than or equal to 3"),
    ("lease_duration", "inf", "finite number"),
    ("lease_renew", "0.1", "greater than or equal to 0.5"),
    ("healing_scale", "0", "greater than 0"),
    ("healing_scale", "11", "less than or equal to 10"),
    ("healing_scale", "nan", "finite number"),
    ("healing_quiet", "-1", "greater than or equal to 0"),
    ("healing_quiet", "3601", "less than or equal to 3600"),
    ("config_watch", "secrets", "'all', 'configmaps' or 'off'"),
    ("stall_limit", "1", "greater than or equal to 5"),
    ("metrics_port", "65536", "less than or equal to 65535"),
    ("health_port", "-1", "greater than or equal to 0"),
    ("log_format", "xml", "'auto', 'text' or 'json'"),
    ("log_level", "INFO", "'debug', 'info', 'warning' or 'error'"),
]


def variable(name: str) -> str:
    return f"SELFHEALING_{name.upper()}"


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def given_with(name: str) -> dict[str, tuple[str, Any]]:
    """The setting, and what has to be given with it."""
    return {each: GIVEN[each] for each in (PAIR if name in PAIR else (name,))}


def test_the_table_of_these_tests_is_complete() -> None:
    """A new setting needs a row above."""
    assert set(GIVEN) == set(Settings.model_fields)


def test_without_anything_the_defaults_hold() -> None:
    """Variables of others are not looked at."""
    assert Settings() == load_settings({"PATH": "/bin", "WORKERS": "3", "KOPF_WORKERS": "4"})


@pytest.mark.parametrize("name", GIVEN)
def test_each_setting_is_a_variable(name: str) -> None:
    """The variable changes this setting and no other."""
    given_settings = given_with(name)
    values = {each: value for each, (_, value) in given_settings.items()}
    variables = {variable(each): text for each, (text, _) in given_settings.items()}

    assert values[name] != getattr(Settings(), name)
    assert Settings(**values) == load_settings(variables)


@pytest.mark.parametrize("name", GIVEN)
def test_each_setting_is_a_flag(name: str) -> None:
    """With a space or an equals sign, as people write flags."""
    given_settings = given_with(name)
    settings = Settings(**{each: value for each, (_, value) in given_settings.items()})
    words = [word for each, (text, _) in given_settings.items() for word in (flag(each), text)]

    assert settings == load_settings({}, words)
    assert settings == load_settings(
        {}, [f"{flag(each)}={text}" for each, (text, _) in given_settings.items()]
    )


def test_a_flag_wins_over_its_variable() -> None:
    """The other variables still count."""
    found = load_settings(
        {"SELFHEALING_WORKERS": "3", "SELFHEALING_DEBOUNCE": "1"}, ["--workers", "5"]
    )

    assert (5, 1.0) == (found.workers, found.debounce)


def test_all_together() -> None:
    """Every setting at once by its variable."""
    environment = {variable(name): text for name, (text, _) in GIVEN.items()}

    assert {name: value for name, (_, value) in GIVEN.items()} == load_settings(
        environment
    ).model_dump()


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [("", ()), (",", ()), ("shop", ("shop",)), ("shop,", ("shop",)), ("b,a", ("b", "a"))],
)
def test_namespaces_are_separated_by_commas(text: str, namespaces: tuple[str, ...]) -> None:
    """An empty list means all of them, so a comma too many must not make a nameless one."""
    assert namespaces == load_settings({"SELFHEALING_NAMESPACES": text}).namespaces


@pytest.mark.parametrize(("name", "text", "said"), BAD)
def test_an_error_names_the_variable_and_what_may_be_written(
    name: str, text: str, said: str
) -> None:
    """Whether the value came by variable or by flag."""
    with pytest.raises(SettingsError) as by_variable:
        load_settings({variable(name): text})
    with pytest.raises(SettingsError) as by_flag:
        load_settings({}, [f"{flag(name)}={text}"])

    assert str(by_variable.value).startswith(f"{variable(name)}={text!r}: ")
    assert said in str(by_variable.value)
    assert str(by_flag.value) == str(by_variable.value)


def test_all_errors_are_told_at_once() -> None:
    """Nobody should have to start the operator once for each."""
    with pytest.raises(SettingsError) as error:
        load_settings({"SELFHEALING_WORKERS": "0", "SELFHEALING_LOG_LEVEL": "loud"})

    assert 2 == len(str(error.value).split("; "))


@pytest.mark.parametrize(("duration", "renew"), [("15", "5.5"), ("3", "2"), ("15", "60")])
def test_a_lease_that_cannot_be_renewed_in_time_is_refused(duration: str, renew: str) -> None:
    """A leader must be able to try more than once before it has to give up."""
    with pytest.raises(SettingsError) as error:
        load_settings({"SELFHEALING_LEASE_DURATION": duration, "SELFHEALING_LEASE_RENEW": renew})

    assert str(error.value).startswith(f"SELFHEALING_LEASE_RENEW={renew!r}: ")
    assert f"at most a third of SELFHEALING_LEASE_DURATION, which is {duration}" in str(error.value)


def test_a_short_lease_does_not_go_with_the_default_renewal() -> None:
    """What is set is right in itself; what goes wrong with it is named."""
    with pytest.raises(SettingsError, match="SELFHEALING_LEASE_RENEW"):
        load_settings({"SELFHEALING_LEASE_DURATION": "3"})


@pytest.mark.parametrize("name", PAIR)
def test_a_certificate_and_its_key_belong_together(name: str) -> None:
    """Else the metrics would be served without TLS, which was asked for."""
    with pytest.raises(SettingsError, match=r"METRICS_TLS_KEY_FILE=.* together"):
        load_settings({variable(name): "/tls/file"})


def test_the_files_of_the_metrics() -> None:
    """None means plain HTTP."""
    files = load_settings({variable(name): GIVEN[name][0] for name in PAIR}).metrics_tls_files

    assert ("/tls/tls.crt", "/tls/tls.key") == files
    assert load_settings({}).metrics_tls_files is None


@pytest.mark.parametrize(
    "name",
    [
        "OPERATOR_METRICS_SERVICE_HOST",
        "OPERATOR_METRICS_SERVICE_PORT",
        "OPERATOR_METRICS_SERVICE_PORT_METRICS",
        "OPERATOR_METRICS_PORT",
        "OPERATOR_METRICS_PORT_8080_TCP",
        "OPERATOR_METRICS_PORT_8080_TCP_PROTO",
        "OPERATOR_METRICS_PORT_8080_TCP_PORT",
        "OPERATOR_METRICS_PORT_8080_TCP_ADDR",
        "DNS_PORT_53_UDP",
        "VOICE_PORT_5060_SCTP_ADDR",
    ],
)
def test_what_kubernetes_sets_for_a_service_is_ignored(name: str) -> None:
    """A Service of the namespace may be named selfhealing-operator-metrics."""
    assert Settings() == load_settings({f"SELFHEALING_{name}": "tcp://10.0.0.7:8080"})


def test_the_settings_that_look_like_a_service_are_still_settings() -> None:
    """METRICS_PORT ends as a Service's variable does."""
    found = load_settings({"SELFHEALING_METRICS_PORT": "1", "SELFHEALING_HEALTH_PORT": "2"})

    assert (1, 2) == (found.metrics_port, found.health_port)


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("WORKER", "WORKERS"),
        ("NAMESPACE", "NAMESPACES"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("LEASE_RENEWAL", "LEASE_RENEW"),
        ("DEBOUNCE_SECONDS", "DEBOUNCE"),
        ("METRIC_PORTS", "METRICS_PORT"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(written: str, nearest: str) -> None:
    """A typing error must not pass for the default."""
    with pytest.raises(SettingsError) as error:
        load_settings({f"SELFHEALING_{written}": "1"})

    assert (
        f"SELFHEALING_{written} is no setting; the nearest is SELFHEALING_{nearest} (see --help)"
        == str(error.value)
    )


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", max_size=20), st.text(max_size=10))
def test_no_variable_passes_unnoticed(name: str, value: str) -> None:
    """It is a setting, a Service's, or it is named in an error."""
    key = f"SELFHEALING_{name}"
    try:
        found = load_settings({key: value})
    except SettingsError as error:
        assert key in str(error)  # noqa: PT017 - either is right
    else:
        assert name.lower() in Settings.model_fields or found == Settings()


def test_an_unknown_flag_ends_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """As every command does."""
    with pytest.raises(SystemExit, match="2"):
        load_settings({}, ["--colour", "red"])

    assert "unrecognized arguments: --colour red" in capsys.readouterr().err


def test_help_tells_every_flag_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the settings' documentation."""
    with pytest.raises(SystemExit, match="0"):
        load_settings({}, ["--help"])

    said = " ".join(capsys.readouterr().out.split())
    for name, field in Settings.model_fields.items():
        default = "empty" if field.default in ("", ()) else field.default

        assert f"{flag(name)} VALUE {field.description} Default: {default}." in said
