"""``make images``: the app's and the operator's image, built with Docker and loaded into the nodes.

The Dockerfiles begin ``ARG BASE=python:3.11-slim``; where no registry can be reached a base of
Debian's Python is made once and named by that argument.  Docker's layer cache does the rest, and
an image a node already has is not loaded again.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, rootfs
from hack.localcluster.engine import SOURCE, Engine, list_nodes
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_logged, run_unchecked
from hack.localcluster.versions import DEMO_IMAGE, OPERATOR_IMAGE, source_image

BUILDS: Final = (("Dockerfile.app", DEMO_IMAGE), ("Dockerfile.operator", OPERATOR_IMAGE))

_CONTEXT: Final = ("app", "operator", "requirements", "README.md", "LICENSE", "pyproject.toml")
"""What a Dockerfile may copy; everything else would only make the context big and unstable."""

_LEFT_OUT: Final = frozenset(
    {Path("operator/selfhealing/crdgen"), Path("operator/selfhealing/plugin")}
)
"""What .dockerignore leaves out: an image has the same files whoever builds it."""

SOURCE_DATE_EPOCH: Final = 315532800
"""The time of the files in an image, as in the Dockerfiles; newer builders take it for the time of
the build too (https://reproducible-builds.org/docs/source-date-epoch)."""

_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_LOADED_FILE: Final = "/etc/selfhealing/images"

_BASE_HOOKS: Final = (
    'ln -sf python3 "$1/usr/bin/python"',  # as in the stock Python image
    'rm -f "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED',
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
)


def context_members(root: Path, names: tuple[str, ...] = _CONTEXT) -> Iterator[tuple[str, Path]]:
    """Yield the files a build sees, in a stable order, without caches."""
    for name in names:
        top = root / name
        if top.is_file():
            yield name, top
        for path in sorted(top.rglob("*")) if top.is_dir() else []:
            inside = path.relative_to(root)
            if path.is_file() and not is_hidden(inside) and _LEFT_OUT.isdisjoint(inside.parents):
                yield str(inside), path


def is_hidden(path: Path) -> bool:
    """Tell whether a path inside the repository is hidden or a cache."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def write_context(root: Path, dockerfile: str, target: Path) -> None:
    """Pack a build's context: equal contents give an equal tar, and so Docker's cached layers."""
    with tarfile.open(target, "w") as tar:
        for name, path in [(dockerfile, root / dockerfile), *context_members(root)]:
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(content))


def ensure_base_image(
    paths: Paths, engine: Engine, reporter: ProgressReporter, environ: Mapping[str, str]
) -> str | None:
    """Return the base to name in BASE, or None where the Dockerfile's own can be pulled."""
    if environ.get("BASE"):
        return environ["BASE"]
    if engine.mode != SOURCE:
        return None
    trusted = _CERTIFICATES.read_bytes()
    digest = hashlib.sha256(trusted).hexdigest()
    # pip in the image must trust what the machine trusts: its mirror may have its own authority.
    hooks = (*_BASE_HOOKS, f'cp {_CERTIFICATES} "$1{_CERTIFICATES}" # {digest}')
    stage = rootfs.describe_root_stage(paths, "python-base", rootfs.PYTHON_PACKAGES, hooks)
    result = build_stages.ensure_built(paths, stage, reporter)
    name = source_image("python", stage.key)
    if run_unchecked(["docker", "image", "inspect", name], env=engine.docker).returncode != 0:
        settings = ["--change", f"ENV PIP_CERT={_CERTIFICATES}", "--change", "CMD python3"]
        command = ["docker", "import", *settings, str(result / rootfs.TARBALL), name]
        run_checked(command, seconds=300, env=engine.docker)
    return name


def build_images(
    paths: Paths, engine: Engine, reporter: ProgressReporter, environ: Mapping[str, str]
) -> dict[str, str]:
    """Build every image there is a Dockerfile for; return name -> id."""
    present = [(file, image) for file, image in BUILDS if (paths.root / file).is_file()]
    if not present:
        raise ClusterError("there is no Dockerfile.app or Dockerfile.operator to build from")
    arguments = list_build_arguments(paths, engine, reporter, environ)
    with reporter.show_stage("build images"):
        for file, image in present:
            build_image(paths, engine, paths.root / file, image, arguments)
        # Younger untagged ones are the layer cache.
        old = ["docker", "image", "prune", "-f", "--filter", "until=24h"]
        run_unchecked(old, seconds=120, env=engine.docker)
    return {image: read_image_id(image, engine.docker) for _, image in present}


def list_build_arguments(
    paths: Paths, engine: Engine, reporter: ProgressReporter, environ: Mapping[str, str]
) -> list[str]:
    """List the options of ``docker build`` that depend on the machine."""
    base = ensure_base_image(paths, engine, reporter, environ)
    arguments = ["--build-arg", f"BASE={base}"] if base else []
    for name in ("PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        arguments += ["--build-arg", name] if environ.get(name) else []
    return arguments


def build_image(
    paths: Paths, engine: Engine, dockerfile: Path, image: str, arguments: Sequence[str]
) -> None:
    """Build one image from the checkout that its Dockerfile is in."""
    file = dockerfile.name
    context = paths.clone_data / f"{file}.tar"
    write_context(dockerfile.parent, file, context)
    epoch = ["--build-arg", f"SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}"]
    command = ["docker", "build", "-f", file, "-t", image, *epoch, *arguments, "-"]
    script = ["sh", "-c", 'exec "$@" <"$0"', str(context), *command]
    run_logged(script, paths.logs / f"{file}.log", seconds=1200, env=engine.docker)
    context.unlink()


def read_image_id(image: str, docker: Mapping[str, str]) -> str:
    """Return an image's id in the daemon."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
    return run_checked(command, env=docker).strip()


def list_missing_on_node(
    node: str, wanted: Mapping[str, str], docker: Mapping[str, str]
) -> list[str]:
    """List the images a node has not, or has from another build.

    What was loaded is noted on the node itself and counts only while containerd still has it.
    """
    script = f"cat {_LOADED_FILE} 2>/dev/null; echo --; ctr -n k8s.io images ls -q"
    answer = run_unchecked(["docker", "exec", node, "sh", "-c", script], env=docker)
    return compare_images(answer.stdout, wanted)


def compare_images(answer: str, wanted: Mapping[str, str]) -> list[str]:
    """Compare a node's note and its images with what is wanted."""
    loaded_note, _, listed = answer.partition("--\n")
    loaded_ids = dict(line.split(" ", 1) for line in loaded_note.splitlines() if " " in line)
    present = set(listed.split())
    return [
        image
        for image, ident in wanted.items()
        if loaded_ids.get(image) != ident or image not in present
    ]


def load_images(
    paths: Paths, engine: Engine, reporter: ProgressReporter, wanted: Mapping[str, str]
) -> None:
    """Load images into every node that lacks one."""
    nodes = [node.name for node in list_nodes(paths.cluster_name, engine.docker) if node.running]
    if not nodes:
        raise ClusterError("the images are built, but no cluster runs to load them: 'make cluster'")
    missing_by_node = {node: list_missing_on_node(node, wanted, engine.docker) for node in nodes}
    needed = sorted({image for images in missing_by_node.values() for image in images})
    if not needed:
        reporter.print_line("images: built, and every node has them")
        return
    targets = sorted(node for node, images in missing_by_node.items() if images)
    with reporter.show_stage("load images", ", ".join(needed)):
        command = [engine.kind, "load", "docker-image", "--name", paths.cluster_name]
        where = ["--nodes", ",".join(targets)]
        run_checked([*command, *where, *needed], seconds=300, env=engine.docker)
    note = "".join(f"{image} {ident}\n" for image, ident in wanted.items())
    for node in targets:
        script = f"mkdir -p $(dirname {_LOADED_FILE}) && cat >{_LOADED_FILE}"
        run_checked(
            ["docker", "exec", "-i", node, "sh", "-c", script], stdin=note, env=engine.docker
        )
