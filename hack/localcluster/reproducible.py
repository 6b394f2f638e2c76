"""``make reproducible``: two builds of each image from two checkouts are the same.

Nothing is taken from Docker's cache. The second checkout differs in what no image may depend on:
the times of its files, and their rights for the group.
"""

import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hack.localcluster import images
from hack.localcluster.engine import Engine
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_unchecked

Json = dict[str, Any]

_OF_THE_BUILD: Final = frozenset({"Hostname", "Image"})
"""Fields of an image's configuration by which the classic builder tells how it was built."""


def check_images(
    paths: Paths, engine: Engine, reporter: ProgressReporter, environ: Mapping[str, str]
) -> None:
    """Build each image twice and say how the builds compare.

    Raises:
        ClusterError: they differ in more than the time at which they were built.
    """
    arguments = images.list_build_arguments(paths, engine, reporter, environ)
    different = []
    with tempfile.TemporaryDirectory() as folder:
        checkouts = [_check_out(paths.root, Path(folder) / name) for name in ("first", "second")]
        _change_metadata(checkouts[1])
        for file, image in images.BUILDS:
            builds = []
            for checkout in checkouts:
                tag = f"{image.partition(':')[0]}:{checkout.name}-build"
                with reporter.show_stage(f"{checkout.name} build of {file}"):
                    options = ["--no-cache", *arguments]
                    images.build_image(paths, engine, checkout / file, tag, options)
                inspected = run_checked(["docker", "image", "inspect", tag], env=engine.docker)
                builds.append(json.loads(inspected)[0])
                run_unchecked(["docker", "image", "rm", tag], seconds=120, env=engine.docker)
            differences = list_differences(*builds)
            different += [f"{file}: {each}" for each in differences]
            if not differences:
                reporter.print_line(f"{file}: {describe_equality(*builds)}")
    if different:
        raise ClusterError("; ".join(different))


def list_differences(first: Json, second: Json) -> list[str]:
    """List what differs between two images, except for the time at which they were built.

    Args:
        first: what ``docker image inspect`` tells of an image.
        second: the same of the other.
    """
    layers = [each["RootFS"]["Layers"] for each in (first, second)]
    found = []
    if len(layers[0]) != len(layers[1]):
        found.append(f"{len(layers[0])} and {len(layers[1])} layers")
    found += [
        f"layer {number} is {one} and {other}"
        for number, (one, other) in enumerate(zip(*layers, strict=False), 1)
        if one != other
    ]
    configs = [each["Config"] for each in (first, second)]
    for name in sorted({*configs[0], *configs[1]} - _OF_THE_BUILD):
        one, other = (each.get(name) for each in configs)
        if one != other:
            found.append(f"{name} is {one} and {other}")
    return found


def describe_equality(first: Json, second: Json) -> str:
    """Say how far two images without differences are the same."""
    if first["Id"] == second["Id"]:
        return f"both builds are {first['Id']}"
    count = len(first["RootFS"]["Layers"])
    return f"the same {count} layers and settings; this builder writes the time of the build too"


def _check_out(root: Path, folder: Path) -> Path:
    """Write what is committed into a new folder."""
    archive = folder.with_suffix(".tar")
    run_checked(["git", "-C", str(root), "archive", "-o", str(archive), "HEAD"])
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _change_metadata(folder: Path) -> None:
    """Give files another time and the group the right to write, as another umask does."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o020)
            os.utime(path, (1e9, 1e9))
