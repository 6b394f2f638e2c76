"""The images of add-ons: built and loaded into the nodes (mode source), or pulled (mode stock).

The tag of a built image has a part of its stage's hash. So a node that has the tag has the content,
and unchanged images are neither built nor loaded again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, oci
from hack.localcluster.engine import SOURCE, Engine, list_nodes
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.node_image import get_architecture
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_unchecked
from hack.localcluster.versions import SOURCE_REPOSITORY, source_image

_KEY_DIGITS: Final = 8


@dataclass(frozen=True)
class AddonTarget:
    """The cluster in which an add-on is installed, and its mode."""

    paths: Paths
    engine: Engine
    reporter: ProgressReporter

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for the cluster."""
        return self.engine.kubectl(self.paths)


@dataclass(frozen=True)
class ImageContent:
    """One image to make: its name, version and files (path in the image -> file here).

    ``program`` is the path in the image of what it runs.
    """

    name: str
    version: str
    program: str
    files: Mapping[str, Path]


def image_version(image: str) -> str:
    """Return an image's version as people know it: its tag without the key of the content."""
    repository, _, tag = image.rpartition(":")
    if not repository.startswith(f"{SOURCE_REPOSITORY}/"):
        return tag
    return tag.rpartition("-")[0] or tag


def describe_images_stage(
    name: str, contents: Sequence[ImageContent], parts: Sequence[Path]
) -> build_stages.BuildStage:
    """Describe the archives of an add-on's images; ``parts``: the results they are made of."""

    def build(result: Path) -> None:
        for content in contents:
            oci.write_archive(
                result / f"{content.name}.tar",
                image_reference(image_stage, content),
                oci.build_layer(content.files),
                entrypoint=[f"/{content.program}"],
                architecture=get_architecture(),
            )

    inputs: build_stages.Inputs = {
        "contents": repr([(one.name, one.version, one.program) for one in contents]),
        "files": repr([sorted(one.files) for one in contents]),
        "parts": " ".join(part.name for part in parts),
        "repository": SOURCE_REPOSITORY,
        "format": oci.FORMAT,
    }
    image_stage = build_stages.BuildStage(f"{name}-images", inputs, build)
    return image_stage


def image_reference(stage: build_stages.BuildStage, content: ImageContent) -> str:
    """Name an image after its version and its stage's inputs."""
    return source_image(content.name, f"{content.version}-{stage.key[:_KEY_DIGITS]}")


def ensure_images(
    target: AddonTarget,
    name: str,
    stock_images: Mapping[str, str],
    build_contents: Callable[[AddonTarget], tuple[Sequence[ImageContent], Sequence[Path]]],
) -> dict[str, str]:
    """Have an add-on's images where the nodes find them; return image name -> reference.

    ``stock`` names them as they can be pulled; ``make`` says what to make them of elsewhere.
    """
    if target.engine.mode != SOURCE:
        return dict(stock_images)
    contents, parts = build_contents(target)
    image_stage = describe_images_stage(name, contents, parts)
    folder = build_stages.ensure_built(target.paths, image_stage, target.reporter)
    references = {content.name: image_reference(image_stage, content) for content in contents}
    _load_archives(target, name, {references[one]: folder / f"{one}.tar" for one in references})
    return references


def template_values(images: Mapping[str, str]) -> dict[str, str]:
    """Return the images by the names they have in a manifest's ``${...}``."""
    return {name.replace("-", "_"): image for name, image in images.items()}


def missing_images(present: str, wanted: Sequence[str]) -> list[str]:
    """List the images that a node's containerd does not name."""
    return sorted(set(wanted) - set(present.split()))


def group_by_missing(missing: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """Group nodes by what they lack, those that lack nothing left out: one load for each group."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for node, images in missing.items():
        if images:
            groups.setdefault(tuple(images), []).append(node)
    return groups


def _load_archives(target: AddonTarget, name: str, archives: Mapping[str, Path]) -> None:
    """Load the archives into every running node that has not got them."""
    docker = target.engine.docker
    nodes = [node.name for node in list_nodes(target.paths.cluster_name, docker) if node.running]
    missing = {node: missing_images(_list_images(node, docker), list(archives)) for node in nodes}
    if not any(missing.values()):
        return
    with target.reporter.show_stage("load add-on images", name):
        command = [target.engine.kind, "load", "image-archive", "--name", target.paths.cluster_name]
        for images, targets in group_by_missing(missing).items():
            files = [str(archives[image]) for image in images]
            run_checked([*command, "--nodes", ",".join(targets), *files], seconds=300, env=docker)
    for node in nodes:
        still_missing = missing_images(_list_images(node, docker), list(archives))
        if still_missing:
            raise ClusterError(f"{node} was given {still_missing[0]} and has it not: try again")


def _list_images(node: str, docker: Mapping[str, str]) -> str:
    command = ["docker", "exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"]
    return run_unchecked(command, env=docker).stdout
