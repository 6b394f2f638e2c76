"""The bills of materials list every package that is locked, and no other."""

import json
from pathlib import Path
from typing import Any

import pytest

from hack.sbom.__main__ import IMAGES, ROOT, check_bom, main, parse_locked_packages

LOCKED = """\
kopf==1.45.2 \\
    --hash=sha256:00
typing_extensions==4.16.0 ; python_full_version < '3.13' \\
    --hash=sha256:01
    # via kopf==1
"""


def make_bom(*packages: tuple[str, str]) -> dict[str, Any]:
    """A CycloneDX document."""
    return {"components": [{"name": name, "version": version} for name, version in packages]}


def test_the_locked_packages() -> None:
    """With their markers left out, and no comment taken for a package."""
    assert {("kopf", "1.45.2"), ("typing-extensions", "4.16.0")} == parse_locked_packages(LOCKED)


def test_a_complete_document() -> None:
    """Names are compared as PyPI does."""
    assert [] == check_bom(LOCKED, make_bom(("kopf", "1.45.2"), ("Typing.Extensions", "4.16.0")))


@pytest.mark.parametrize(
    ("bom", "differences"),
    [
        (make_bom(("kopf", "1.45.2")), ["typing-extensions 4.16.0 is missing"]),
        (
            make_bom(("kopf", "1.45.1"), ("typing-extensions", "4.16.0")),
            ["kopf 1.45.2 is missing", "kopf 1.45.1 is not locked"],
        ),
        ({}, ["kopf 1.45.2 is missing", "typing-extensions 4.16.0 is missing"]),
    ],
)
def test_a_document_that_differs(bom: dict[str, Any], differences: list[str]) -> None:
    """Each package is named."""
    assert differences == check_bom(LOCKED, bom)


def test_requirements_without_a_pin() -> None:
    """An empty document would match them."""
    assert ["the requirements pin no package"] == check_bom("# nothing\n", make_bom())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It checks the files of both images, with the packages that are really locked."""
    for image in IMAGES:
        text = (ROOT / "requirements" / f"{image}.txt").read_text()
        bom = make_bom(*parse_locked_packages(text))
        (tmp_path / f"{image}.cdx.json").write_text(json.dumps(bom))

    assert 0 == main([str(tmp_path)])

    bom["components"].pop()
    (tmp_path / "app.cdx.json").write_text(json.dumps(bom))

    assert 1 == main([str(tmp_path)])
    assert "is missing" in capsys.readouterr().out
