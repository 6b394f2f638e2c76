"""The images of add-ons, by either way: made here and loaded into the nodes, or named to be pulled.

A made image carries a part of its stage's key in its tag, so a node that has the name has the
content, and what has not changed is neither made nor loaded again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, oci
from hack.localcluster.engine import SOURCE, Engine, nodes_of
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.node_image import architecture
from hack.localcluster.paths import Paths
from hack.localcluster.progress import Reporter
from hack.localcluster.subprocesses import attempt, capture
from hack.localcluster.versions import SOURCE_REPOSITORY, source_image

_KEY_DIGITS: Final = 8


@dataclass(frozen=True)
class Site:
    """Where an add-on is installed: a running cluster of this clone, and how it was made."""

    paths: Paths
    engine: Engine
    reporter: Reporter

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for the cluster."""
        return self.engine.kubectl(self.paths)


@dataclass(frozen=True)
class Content:
    """One image to make: its name, version and files (path in the image -> file here).

    ``program`` is the path in the image of what it runs.
    """

    name: str
    version: str
    program: str
    files: Mapping[str, Path]


def shown_version(image: str) -> str:
    """Return an image's version as people know it: its tag without the key of the content."""
    repository, _, tag = image.rpartition(":")
    if not repository.startswith(f"{SOURCE_REPOSITORY}/"):
        return tag
    return tag.rpartition("-")[0] or tag


def stage(name: str, contents: Sequence[Content], parts: Sequence[Path]) -> build_stages.Stage:
    """Describe the archives of an add-on's images; ``parts``: the results they are made of."""

    def build(result: Path) -> None:
        for content in contents:
            oci.write_archive(
                result / f"{content.name}.tar",
                reference(made, content),
                oci.layer_of(content.files),
                entrypoint=[f"/{content.program}"],
                architecture=architecture(),
            )

    inputs: build_stages.Inputs = {
        "contents": repr([(one.name, one.version, one.program) for one in contents]),
        "files": repr([sorted(one.files) for one in contents]),
        "parts": " ".join(part.name for part in parts),
        "repository": SOURCE_REPOSITORY,
        "format": oci.FORMAT,
    }
    made = build_stages.Stage(f"{name}-images", inputs, build)
    return made


def reference(made: build_stages.Stage, content: Content) -> str:
    """Name an image after its version and its stage's inputs."""
    return source_image(content.name, f"{content.version}-{made.key[:_KEY_DIGITS]}")


def provide(
    site: Site,
    name: str,
    stock: Mapping[str, str],
    make: Callable[[Site], tuple[Sequence[Content], Sequence[Path]]],
) -> dict[str, str]:
    """Have an add-on's images where the nodes find them; return image name -> reference.

    ``stock`` names them as they can be pulled; ``make`` says what to make them of elsewhere.
    """
    if site.engine.way != SOURCE:
        return dict(stock)
    contents, parts = make(site)
    made = stage(name, contents, parts)
    folder = build_stages.ensure(site.paths, made, site.reporter)
    named = {content.name: reference(made, content) for content in contents}
    _load(site, name, {named[one]: folder / f"{one}.tar" for one in named})
    return named


def values(images: Mapping[str, str]) -> dict[str, str]:
    """Return the images by the names they have in a manifest's ``${...}``."""
    return {name.replace("-", "_"): image for name, image in images.items()}


def lacking(listed: str, wanted: Sequence[str]) -> list[str]:
    """List the images that a node's containerd does not name."""
    return sorted(set(wanted) - set(listed.split()))


def alike(lack: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """Group nodes by what they lack, those that lack nothing left out: one load for each group."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for node, images in lack.items():
        if images:
            groups.setdefault(tuple(images), []).append(node)
    return groups


def _load(site: Site, name: str, archives: Mapping[str, Path]) -> None:
    """Load the archives into every running node that has not got them."""
    docker = site.engine.docker
    nodes = [node.name for node in nodes_of(site.paths.cluster_name, docker) if node.running]
    lack = {node: lacking(_listed(node, docker), list(archives)) for node in nodes}
    if not any(lack.values()):
        return
    with site.reporter.stage("load add-on images", name):
        command = [site.engine.kind, "load", "image-archive", "--name", site.paths.cluster_name]
        for images, targets in alike(lack).items():
            files = [str(archives[image]) for image in images]
            capture([*command, "--nodes", ",".join(targets), *files], seconds=300, env=docker)
    for node in nodes:
        still = lacking(_listed(node, docker), list(archives))
        if still:
            raise ClusterError(f"{node} was given {still[0]} and has it not: try again")


def _listed(node: str, docker: Mapping[str, str]) -> str:
    command = ["docker", "exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"]
    return attempt(command, env=docker).stdout
