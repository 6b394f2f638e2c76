"""Debian root file systems, and single packages' files, as tar files where no image can be pulled.

mmdebstrap takes the packages from where Debian keeps them, or from DEBIAN_MIRROR.
"""

import os
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


def _run_mmdebstrap(paths: Paths, name: str, options: list[str], folder: Path) -> None:
    mirror = [os.environ["DEBIAN_MIRROR"]] if os.environ.get("DEBIAN_MIRROR") else []
    command = ["mmdebstrap", *options, DEBIAN_SUITE, str(folder / TARBALL), *mirror]
    run_logged(command, paths.logs / f"{name}.log", seconds=1200, env={"TMPDIR": str(folder)})
