"""The plugin as a single file: it starts, and every build of a commit is the same."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

from hack.plugin.__main__ import ARCHIVE, ROOT, build
from selfhealing import __version__


def test_the_file_starts_and_is_reproducible(tmp_path: Path) -> None:
    """Also in another folder, and with another umask."""
    subprocess.run([sys.executable, "-m", "uv", "venv", "-q", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = ["-m", "uv", "pip", "install", "-q", "--python", str(python), "--require-hashes"]
    locked = str(ROOT / "requirements" / "shiv.txt")
    subprocess.run([sys.executable, *install, "-r", locked], check=True)
    shiv = python.with_name("shiv")
    file = build(tmp_path / "one", shiv)
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "two" / "deeper", shiv, "https://example.com/plugin.tar.gz")
    finally:
        os.umask(before)

    assert file.read_bytes() == again.read_bytes()
    assert (file.parent / ARCHIVE).read_bytes() == (again.parent / ARCHIVE).read_bytes()
    with zipfile.ZipFile(file) as packed:
        page = "site-packages/selfhealing/plugin/dashboard/site/index.html"
        assert page in packed.namelist()
    manifest = yaml.safe_load((again.parent / "selfheal.yaml").read_text())
    assert f"v{__version__}" == manifest["spec"]["version"]
    assert "https://example.com/plugin.tar.gz" == manifest["spec"]["platforms"][0]["uri"]
    environment = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    for arguments, text in ((["--version"], __version__), (["__complete", "must"], "must-gather")):
        done = subprocess.run(
            [sys.executable, file, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert text in done.stdout
