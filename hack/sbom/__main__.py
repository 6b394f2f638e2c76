"""Checks the software bills of materials that ``make sbom`` has written.

``python -m hack.sbom FOLDER`` compares FOLDER/NAME.cdx.json with requirements/NAME.txt for each
image. cyclonedx-py validates the files against the schema of CycloneDX when it writes them.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

IMAGES = ("operator", "app")
"""The images by the names of their files in requirements/."""

Package = tuple[str, str]
"""The normalized name and the version of a Python package."""

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def parse_locked_packages(text: str) -> set[Package]:
    """Return the packages that a locked requirements file pins."""
    return {(normalize_name(name), version) for name, version in _PIN.findall(text)}


def list_components(bom: dict[str, Any]) -> set[Package]:
    """Return the packages that a CycloneDX document lists."""
    return {
        (normalize_name(component["name"]), component.get("version", ""))
        for component in bom.get("components") or ()
    }


def normalize_name(name: str) -> str:
    """Return the name by which packages are compared (PyPA specification, Name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_bom(requirements: str, bom: dict[str, Any]) -> list[str]:
    """Return what differs between a locked requirements file and its document."""
    locked, listed = parse_locked_packages(requirements), list_components(bom)
    if not locked:
        return ["the requirements pin no package"]
    return [
        *(f"{name} {version} is missing" for name, version in sorted(locked - listed)),
        *(f"{name} {version} is not locked" for name, version in sorted(listed - locked)),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check both documents; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hack.sbom", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    is_complete = True
    for image in IMAGES:
        requirements = (ROOT / "requirements" / f"{image}.txt").read_text()
        bom = json.loads((folder / f"{image}.cdx.json").read_text())
        differences = check_bom(requirements, bom)
        is_complete &= not differences
        path = folder / f"{image}.cdx.json"
        print(f"{path}: {'; '.join(differences) or f'{len(list_components(bom))} packages'}")
    return 0 if is_complete else 1


if __name__ == "__main__":
    sys.exit(main())
