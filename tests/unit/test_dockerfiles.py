"""What the images promise: their ports, and that nothing unlocked gets into them."""

import re
from pathlib import Path

import pytest

from app.settings import Settings as AppSettings
from selfhealing.controller.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile.operator", "Dockerfile.app")
LABELS = {"title", "description", "licenses", "version", "revision"}


def read_instructions(file: str) -> str:
    """The Dockerfile without comments, with continued lines joined."""
    lines = (ROOT / file).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return text.replace("\\\n", " ")


@pytest.mark.parametrize(
    ("file", "ports"),
    [
        (
            "Dockerfile.operator",
            [Settings().metrics_port, Settings().health_port],
        ),
        ("Dockerfile.app", [AppSettings().port]),
    ],
)
def test_the_ports(file: str, ports: list[int]) -> None:
    """They are the defaults of the settings."""
    found = re.findall(r"^EXPOSE (.+)$", read_instructions(file), re.MULTILINE)

    assert [" ".join(str(port) for port in ports)] == found


@pytest.mark.parametrize("file", FILES)
def test_packages_are_locked_wheels(file: str) -> None:
    """A source distribution would run its own code while the image is built."""
    installs = re.findall(r"pip [^&\n]*\binstall\b[^&\n]*", read_instructions(file))

    assert 1 == len(installs)
    assert "--require-hashes" in installs[0]
    assert "--only-binary=:all:" in installs[0]


@pytest.mark.parametrize("file", FILES)
def test_labels_and_user(file: str) -> None:
    """The labels are those of the OCI image specification; the user is a number and not root."""
    text = read_instructions(file)

    assert LABELS == set(re.findall(r"org\.opencontainers\.image\.(\w+)=", text))
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_every_stage_has_the_chosen_base(file: str) -> None:
    """So that BASE=NAME@sha256:DIGEST pins all of the image."""
    bases = re.findall(r"^FROM (\S+)", read_instructions(file), re.MULTILINE)

    assert {"${BASE}"} == set(bases)
