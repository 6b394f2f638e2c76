"""Prometheus from its Debian package: the files an image of it needs, and nothing else of Debian.

As a Go module it would compile for longer than all of Kubernetes; Debian has done so already.  Of
the packages it depends on only libc and what its web pages show are taken.
"""

import gzip
import os
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, rootfs
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.versions import DEBIAN_SUITE

PACKAGE: Final = "prometheus"
ROOT: Final = "root"
"""The folder in the stage's result that holds the files as they lie in the image."""

_FORMAT: Final = "2"
"""Changed by hand when other files are picked: part of the stage's key."""

_PROGRAM: Final = f"usr/bin/{PACKAGE}"
_WEB_FOLDER: Final = f"usr/share/{PACKAGE}/web"
_CHANGELOG: Final = f"usr/share/doc/{PACKAGE}/changelog.Debian.gz"
_LIBRARIES: Final = ("libc",)
_UNUSED: Final = frozenset({"data", "doc", "man", "locale"})
"""Folders: beside the pages' scripts lies every release of the time zones (200 MB)."""


def parse_version(changelog: str) -> str:
    """Read the upstream version from the first line of Debian's changelog of the package."""
    match = re.match(r"\S+ \((?:\d+:)?(\d[\d.]*)", changelog)
    if match is None:
        raise ClusterError(
            f"Debian's package {PACKAGE} does not say its version: 'make cluster-purge', try again"
        )
    return match[1]


def select_members(names: Iterable[str]) -> list[str]:
    """Pick a tar's members: the program, libc, its loader, and all a web page may link to."""

    def is_needed(name: str) -> bool:
        path = name.removeprefix("./")
        if path.startswith("usr/share/"):
            return path == _CHANGELOG or _UNUSED.isdisjoint(path.split("/"))
        return path == _PROGRAM or rootfs.is_library(path, _LIBRARIES)

    return [name for name in names if is_needed(name)]


def describe_stage(paths: Paths) -> build_stages.BuildStage:
    """Describe the image's files below ``root/``, with the version in the file ``version``."""

    def build(result: Path) -> None:
        scratch = result / "scratch"
        scratch.mkdir()
        tarball = rootfs.unpack_package(paths, PACKAGE, PACKAGE, result)
        with tarfile.open(tarball) as tar:
            for name in select_members(tar.getnames()):
                tar.extract(name, scratch, set_attrs=False, filter="fully_trusted")
        _collect_files(scratch, result / ROOT)
        with gzip.open(scratch / _CHANGELOG, "rt", errors="replace") as changes:
            (result / "version").write_text(parse_version(changes.read(4096)))
        tarball.unlink()
        shutil.rmtree(scratch)

    inputs = {"package": PACKAGE, "suite": DEBIAN_SUITE, "format": _FORMAT}
    return build_stages.BuildStage(PACKAGE, inputs, build)


def _collect_files(scratch: Path, root: Path) -> None:
    """Copy what the image needs, with links replaced by what they point to in the package."""
    rootfs.copy_libraries(scratch, root, _LIBRARIES)
    rootfs.copy_file(scratch / _PROGRAM, root / _PROGRAM)
    for folder, folders, names in os.walk(scratch / _WEB_FOLDER, followlinks=True):
        folders[:] = set(folders) - _UNUSED
        for path in (Path(folder, name) for name in names if not name.endswith(".map")):
            if path.exists():
                rootfs.copy_file(path, root / path.relative_to(scratch))
