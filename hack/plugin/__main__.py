"""Builds the plugin into a folder: ``python -m hack.plugin FOLDER SHIV [URL]``.

Two builds of one commit are equal, byte for byte (docs/adr/0035-kubectl-plugin.md).
"""

import gzip
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from string import Template
from typing import Final

from selfhealing import __version__

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "operator" / "selfhealing"
REQUIREMENTS: Final = ROOT / "requirements" / "plugin.txt"
KREW_MANIFEST: Final = ROOT / "deploy" / "krew" / "selfheal.yaml"

FILE: Final = "kubectl-selfheal"
ARCHIVE: Final = f"{FILE}.tar.gz"
LEFT_OUT: Final = (
    "__pycache__",
    "__main__.py",
    "generated_files.py",
    "controller",
    "cli",
    "crdgen",
)
"""Of the package ``selfhealing``: what only the operator and its developers run."""

CACHE: Final = "~/.cache/kubectl-selfheal"
"""Where the file unpacks itself at its first start: compiled libraries cannot be loaded from it."""

BUILD_TIME: Final = 315532800
"""Seconds since 1970: the first moment that a ZIP file can hold, 1980-01-01. The time of all files
in the archives, so that they do not depend on when they are built."""

_INSTALLER_FILES: Final = ("RECORD", "INSTALLER", "REQUESTED", "uv_cache.json", "direct_url.json")
"""What an installer writes beside a package; it may tell its time and place."""

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def build(folder: Path, shiv: Path, url: str = "") -> Path:
    """Build the plugin, its archive and the manifest for krew; return the file.

    Args:
        folder: where they are written.
        shiv: the command shiv.
        url: where the archive will be published; empty for a manifest for local use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    with tempfile.TemporaryDirectory() as scratch:
        libraries = Path(scratch) / "libraries"
        _install_libraries(libraries)
        shutil.copytree(PACKAGE, libraries / PACKAGE.name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        _run_shiv(shiv, libraries, file)
    archive = folder / ARCHIVE
    archive.write_bytes(_pack(file, ROOT / "LICENSE"))
    _write_krew_manifest(archive, folder, url)
    return file


def _install_libraries(target: Path) -> None:
    command = ["-m", "uv", "pip", "install", "-q", "--python", sys.executable]
    rules = ["--only-binary", ":all:", "--require-hashes", "--link-mode", "copy"]
    files = ["--target", str(target), "-r", str(REQUIREMENTS)]
    subprocess.run([sys.executable, *command, *rules, *files], check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
    for name in _INSTALLER_FILES:
        for path in target.glob(f"*.dist-info/{name}"):
            path.unlink()
    for path in (*target.glob(".*"), *target.rglob("__pycache__")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run_shiv(shiv: Path, libraries: Path, file: Path) -> None:
    for path in (libraries, *libraries.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask of the builder is
    options = {
        "--site-packages": libraries,
        "--entry-point": "selfhealing.plugin.command.main:main",
        "--python": f"/usr/bin/env python3.{sys.version_info.minor}",
        "--root": CACHE,
        "--output-file": file,
    }
    arguments = [str(word) for option in options.items() for word in option]
    subprocess.run(
        [shiv, "--reproducible", "--compressed", *arguments],
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(BUILD_TIME)},
    )


def _pack(*files: Path) -> bytes:
    """Return an archive of files that depends on nothing but their names and contents."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=BUILD_TIME) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mtime = len(content), BUILD_TIME
            entry.mode = 0o755 if path.name == FILE else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _write_krew_manifest(archive: Path, folder: Path, url: str) -> None:
    text = Template(KREW_MANIFEST.read_text(encoding="utf-8")).substitute(
        version=__version__,
        url=url or archive.name,
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        os=platform.system().lower(),
        arch=_ARCHITECTURES.get(platform.machine(), platform.machine()),
    )
    (folder / KREW_MANIFEST.name).write_text(text, encoding="utf-8")


def main() -> None:
    """Build the plugin, and say where it is."""
    folder, shiv, *url = sys.argv[1:]
    file = build(Path(folder), Path(shiv), *url)
    print(f"{file} ({file.stat().st_size // 1024} KiB), krew manifest beside it")


if __name__ == "__main__":
    main()
