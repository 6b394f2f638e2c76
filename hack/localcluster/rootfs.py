"""Debian root file systems, and single packages' files, as tar files where no image can be pulled.

mmdebstrap takes the packages from where Debian keeps them, or from DEBIAN_MIRROR.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_logged
from hack.localcluster.versions import DEBIAN_SUITE

NODE_PACKAGES: Final = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "conntrack",
    "iptables",
    "nftables",
    "iproute2",
    "ethtool",
    "util-linux",
    "mount",
    "kmod",
    "libseccomp2",
    "pigz",
    "bash",
    "ca-certificates",
    "curl",
    "jq",
    "procps",
    "runc",
    "socat",
)
"""What kind's base image installs and this project needs of it."""

PYTHON_PACKAGES: Final = ("python3", "python3-pip", "python3-venv", "ca-certificates")
"""The base of ``make images``: Debian's Python in place of python:3.11-slim."""

TARBALL: Final = "root.tar"

_LIBRARY: Final = re.compile(r"lib/[^/]+/(lib[a-z]+)\.so\.\d+")
_LOADER: Final = re.compile(r"lib(?:64|/[^/]+)?/ld-linux-[^/]+")


def describe_root_stage(
    paths: Paths, name: str, packages: Sequence[str], hooks: Sequence[str] = ()
) -> build_stages.BuildStage:
    """Describe a minimal root with these packages, and shell lines run on it (``$1``: the root)."""

    def build(result: Path) -> None:
        # Documentation of every package, in every language, is half of a minimal root.
        exclusions = [
            f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")
        ]
        options = ["--variant=minbase", f"--include={','.join(packages)}", *exclusions]
        options += [f"--customize-hook={hook}" for hook in hooks]
        _run_mmdebstrap(paths, name, options, result)

    inputs = {"packages": " ".join(packages), "suite": DEBIAN_SUITE}
    if hooks:
        inputs["hooks"] = "\n".join(hooks)
    return build_stages.BuildStage(name, inputs, build)


def unpack_package(paths: Paths, name: str, package: str, folder: Path) -> Path:
    """Return a tar in ``folder`` with the files of a package and of all it depends on.

    Nothing is installed: no script of a package runs and no essential package is added.
    """
    _run_mmdebstrap(paths, name, ["--variant=extract", f"--include={package}"], folder)
    return folder / TARBALL


def is_library(path: str, libraries: Sequence[str]) -> bool:
    """Tell whether a path in a tar of libc6 is one of its libraries (``libc``), or its loader."""
    name = path.removeprefix("./")
    library = _LIBRARY.fullmatch(name)
    return bool(_LOADER.fullmatch(name)) or (library is not None and library[1] in libraries)


def copy_libraries(unpacked: Path, root: Path, libraries: Sequence[str]) -> None:
    """Copy libraries of libc6 and its loader, with links replaced by what they point to."""
    loaders = {path.name: path for path in unpacked.glob("lib/*/ld-linux-*")}
    found = [path for name in libraries for path in unpacked.glob(f"lib/*/{name}.so.*")]
    for path in [*found, *loaders.values()]:
        copy_file(path, root / path.relative_to(unpacked))
    # Where a program looks for its loader: an absolute link, which here would leave the folder.
    for link in [*unpacked.glob("lib64/ld-linux-*"), *unpacked.glob("lib/ld-linux-*")]:
        copy_file(loaders[link.name], root / link.relative_to(unpacked))


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of a file into a folder that may not exist yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _run_mmdebstrap(paths: Paths, name: str, options: list[str], folder: Path) -> None:
    mirror = [os.environ["DEBIAN_MIRROR"]] if os.environ.get("DEBIAN_MIRROR") else []
    command = ["mmdebstrap", *options, DEBIAN_SUITE, str(folder / TARBALL), *mirror]
    run_logged(command, paths.logs / f"{name}.log", seconds=1200, env={"TMPDIR": str(folder)})
