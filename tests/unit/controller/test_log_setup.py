"""Log lines: their form, their time, and what may not be in them."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given, strategies as st

from selfhealing.controller.log_setup import SafeTextFilter, configure_logging

logger = logging.getLogger("selfhealing.test")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """The root logger as pytest has configured it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def capture_log(
    monkeypatch: pytest.MonkeyPatch, log_format: Literal["text", "json"]
) -> io.StringIO:
    """Configure logging, and return what is written to standard error."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(log_format, "info")
    return stream


def test_a_json_line_has_a_time_of_rfc_3339(monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC, with milliseconds and Z."""
    log = capture_log(monkeypatch, "json")
    logger.warning("shop/web: %s", "Degraded", extra={"app": "shop/web"})
    entry = json.loads(log.getvalue())
    time = entry.pop("time")

    assert len("2026-01-01T12:00:00.000Z") == len(time)
    assert time.endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(time)) < timedelta(hours=1)
    assert {
        "level": "WARNING",
        "logger": "selfhealing.test",
        "message": "shop/web: Degraded",
        "app": "shop/web",
    } == {key: entry[key] for key in ("level", "logger", "message", "app")}


def test_a_message_cannot_forge_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line end and control character in it is gone."""
    log = capture_log(monkeypatch, "text")
    logger.info("a\n12:00:00 ERROR b\r12:00:00 ERROR c\u2028d\x1b[2J\u202ee\x85f")

    assert 1 == len(log.getvalue().splitlines())
    assert log.getvalue().endswith("a 12:00:00 ERROR b 12:00:00 ERROR c de f\n")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_are_masked(
    monkeypatch: pytest.MonkeyPatch, log_format: Literal["text", "json"]
) -> None:
    """In the message, in its arguments and in the traceback, whose lines are indented."""
    log = capture_log(monkeypatch, log_format)
    error = RuntimeError("postgres://bob:hunter2@db/shop\n12:00:00 ERROR forged")
    try:
        raise error
    except RuntimeError:
        logger.exception("password=hunter2 %s", {"token": "hunter2"})
    text = log.getvalue()

    assert "hunter2" not in text
    assert "RuntimeError" in text
    assert text.count("<redacted>") >= 3
    assert not any(line.startswith("12:00:00 ERROR forged") for line in text.splitlines())


def test_a_long_message_is_cut() -> None:
    """It is the loop that writes it."""
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s", ("ab " * 9999,), None)
    SafeTextFilter().filter(record)

    assert record.getMessage().endswith("…")
    assert len(record.getMessage()) < 10_000


def test_a_record_whose_arguments_do_not_fit_is_left_to_the_handler() -> None:
    """A log line never fails its caller."""
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%d", ("no number",), None)

    assert SafeTextFilter().filter(record)
    assert "%d" == record.msg


@given(st.text(st.characters()))
def test_any_message_becomes_one_line(message: str) -> None:
    """Also with halves of characters."""
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s", (message,), None)
    SafeTextFilter().filter(record)

    assert len(record.getMessage().splitlines()) <= 1
    assert record.getMessage() == record.getMessage().encode().decode()
