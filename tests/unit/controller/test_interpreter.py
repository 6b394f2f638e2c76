"""The settings of the process."""

import gc
import sys
from pathlib import Path

import pytest

from selfhealing.controller.interpreter import (
    PYTHON_VERSION,
    configure_interpreter,
)


@pytest.mark.parametrize(("version", "is_told"), [((3, 11, 9), False), ((3, 12, 1), True)])
def test_another_python_is_told(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    version: tuple[int, int, int],
    is_told: bool,
) -> None:
    """One whose parser stops at fewer levels of JSON than the API server stores."""
    monkeypatch.setattr(sys, "version_info", version)
    limit, thresholds = sys.getrecursionlimit(), gc.get_threshold()

    configure_interpreter()

    sys.setrecursionlimit(limit)
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    assert is_told == ("run it with Python 3.11" in caplog.text)


@pytest.mark.parametrize("dockerfile", ["Dockerfile.operator", "Dockerfile.app"])
def test_the_images_have_the_python_of_the_tests(dockerfile: str) -> None:
    """What holds in the tests holds in the cluster."""
    text = (Path(__file__).parents[3] / dockerfile).read_text()

    assert sys.version_info[:2] == PYTHON_VERSION
    assert "ARG BASE=python:{}.{}-slim\n".format(*PYTHON_VERSION) in text
