"""The kind node image made from packages: a Debian root, Go programs and kind's own node files.

Two stages: the container images the node carries (archives made without any daemon), then the node
itself, built in a container of the project's daemon and saved for the next clone.
"""

import fnmatch
import os
import platform
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hack.localcluster import build_stages, go_build, oci, rootfs
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_logged, run_unchecked
from hack.localcluster.versions import (
    COREDNS,
    ETCD,
    KIND,
    KUBERNETES,
    KWOK,
    METRICS_SERVER,
    PAUSE,
    SOURCE_REPOSITORY,
    source_image,
)

_NODE_FILES: Final = Path(__file__).parent / "node"

IMAGES: Final = (
    ("kube-apiserver", KUBERNETES, "kube-apiserver"),
    ("kube-controller-manager", KUBERNETES, "kube-controller-manager"),
    ("kube-scheduler", KUBERNETES, "kube-scheduler"),
    ("kube-proxy", KUBERNETES, "kube-proxy"),
    ("etcd", ETCD, "server"),
    ("coredns", COREDNS, "coredns"),
    ("pause", PAUSE, "pause"),
    ("metrics-server", METRICS_SERVER, "metrics-server"),
    ("kwok", KWOK, "kwok"),
)
"""Image name, tag, and the Go program in it (etcd's is called ``server``)."""

_NODE_PROGRAMS: Final = (
    "kubeadm",
    "kubelet",
    "kubectl",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
)
_CNI_PLUGINS: Final = ("ptp", "loopback", "host-local", "portmap")

_SETTINGS: Final = """\
ENV container=docker
STOPSIGNAL SIGRTMIN+3
CMD []
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"""
"""What ``docker commit`` cannot set: systemd ends on another signal than SIGTERM."""

_ENTRYPOINTS: Final = {"coredns", "pause", "metrics-server", "kwok"}
"""Images run without a command; kubeadm names the others' programs itself."""

_IPTABLES: Final = (
    "usr/sbin/xtables-nft-multi",
    "usr/lib/*/xtables/*.so",
    "usr/lib/*/libmnl.so.*",
    "usr/lib/*/libnftnl.so.*",
    "usr/lib/*/libxtables.so.*",
    "usr/lib/*/libc.so.*",
    "usr/lib/*/libm.so.*",
    "usr/lib/ld-linux-*.so.*",
    "usr/lib64/ld-linux-*.so.*",
)
"""What kube-proxy runs, and its libraries: all else it does over netlink."""

IPTABLES_NAMES: Final = tuple(
    f"{family}{program}"
    for family in ("iptables", "ip6tables")
    for program in ("", "-save", "-restore")
)
"""The names under which xtables-nft-multi is what its caller expects."""


def get_architecture() -> str:
    """Name this machine's processor as Go and OCI do."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def select_members(names: Iterable[str], patterns: Iterable[str] = _IPTABLES) -> list[str]:
    """Pick a tar's members by pattern; a ``*`` stays within one folder."""
    split = [pattern.split("/") for pattern in patterns]

    def matches(name: str) -> bool:
        parts = name.removeprefix("./").split("/")
        return any(
            len(parts) == len(pattern) and all(map(fnmatch.fnmatchcase, parts, pattern))
            for pattern in split
        )

    return [name for name in names if matches(name)]


def describe_images_stage(programs: list[Path], root: Path) -> build_stages.BuildStage:
    """Describe the archives of every image the node carries."""

    def build(result: Path) -> None:
        scratch = result / "scratch"
        _extract_iptables(root / rootfs.TARBALL, scratch)
        for name, tag, program in IMAGES:
            files = {f"usr/local/bin/{name}": find_program(programs, program)}
            if name == "kube-proxy":
                files |= _iptables_files(scratch)
            entry = [f"/usr/local/bin/{name}"] if name in _ENTRYPOINTS else []
            oci.write_archive(
                result / f"{name}.tar",
                source_image(name, tag),
                oci.build_layer(files),
                entrypoint=entry,
                architecture=get_architecture(),
            )
        shutil.rmtree(scratch)

    inputs: build_stages.Inputs = {
        "images": repr((IMAGES, _IPTABLES, SOURCE_REPOSITORY)),
        "programs": " ".join(folder.name for folder in programs),
        "root": root.name,
        "format": oci.FORMAT,
    }
    return build_stages.BuildStage("node-images", inputs, build)


def find_program(folders: list[Path], name: str) -> Path:
    """Find a built program among the stages' results."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ClusterError(f"the build has no program {name!r}: 'make cluster-purge', then try again")


def _extract_iptables(tarball: Path, into: Path) -> None:
    into.mkdir()
    with tarfile.open(tarball) as tar:
        names = select_members(tar.getnames())
        for name in names:
            member = tar.getmember(name)
            tar.extract(member, into, set_attrs=False, filter="fully_trusted")


def _iptables_files(scratch: Path) -> dict[str, Path]:
    files = {str(path.relative_to(scratch)): path for path in scratch.rglob("*") if path.is_file()}
    # Programs name their loader below /lib or /lib64, which in Debian's root are links into /usr.
    files |= {name.removeprefix("usr/"): path for name, path in files.items() if "/ld-" in name}
    nft = scratch / "usr/sbin/xtables-nft-multi"
    return files | {f"usr/sbin/{name}": nft for name in IPTABLES_NAMES}


def node_image_name(stage: build_stages.BuildStage) -> str:
    """Name the node image after its inputs, so that a daemon's copy is known to be right."""
    return source_image("node", stage.key)


def describe_node_stage(
    paths: Paths, reporter: ProgressReporter, docker: dict[str, str], parts: list[Path]
) -> build_stages.BuildStage:
    """Describe the node image; ``parts``: programs' folders, images' folder and root, in order."""
    *programs, images, root = parts
    inputs: build_stages.Inputs = {
        **build_stages.read_tree_inputs(_NODE_FILES, "node/"),
        "parts": " ".join(part.name for part in parts),
        "kind": KIND,
        "version": KUBERNETES,
    }

    def build(result: Path) -> None:
        context = result / "parts"
        (context / "bin").mkdir(parents=True)
        (context / "cni").mkdir()
        sources = go_build.find_module_folder(paths, reporter, "node", "sigs.k8s.io/kind")
        shutil.copytree(sources / "images/base/files", context / "kind")
        shutil.copytree(_NODE_FILES / "files", context / "files")
        for name in _NODE_PROGRAMS:
            os.link(find_program(programs, name), context / "bin" / name)
        for name in _CNI_PLUGINS:
            os.link(find_program(programs, name), context / "cni" / name)
        shutil.copytree(images, context / "images", copy_function=os.link)
        _build_in_container(paths, docker, context, root / rootfs.TARBALL, stage_name)
        run_checked(
            ["docker", "save", "-o", str(result / "node.tar"), stage_name], seconds=600, env=docker
        )
        shutil.rmtree(context)

    stage = build_stages.BuildStage("node-image", inputs, build)
    stage_name = node_image_name(stage)
    return stage


def _build_in_container(
    paths: Paths, docker: dict[str, str], context: Path, root: Path, image: str
) -> None:
    """Import the root, run the build script in it with the parts at hand, commit the result."""
    log = paths.logs / "node-image.log"
    base, builder = f"{image}-base", f"node-build-{os.getpid()}"
    script = (_NODE_FILES / "build.sh").resolve()
    pause = source_image("pause", PAUSE)
    try:
        run_logged(["docker", "import", str(root), base], log, seconds=600, env=docker)
        run = ["docker", "run", "--name", builder, "--network", "none"]
        mounts = ["-v", f"{context}:/parts:ro", "-v", f"{script}:/build.sh:ro"]
        security_options = ["--security-opt", "seccomp=unconfined", "--tmpfs", "/run"]
        inside = [base, "bash", "/build.sh", KUBERNETES, pause]
        run_logged([*run, *mounts, *security_options, *inside], log, seconds=900, env=docker)
        run_logged(["docker", "commit", builder, base], log, seconds=600, env=docker)
        build = ["docker", "build", "-t", image, "-"]
        run_checked(build, stdin=f"FROM {base}\n{_SETTINGS}", seconds=120, env=docker)
    finally:
        run_unchecked(["docker", "rm", "-f", "-v", builder], env=docker, seconds=120)
        run_unchecked(["docker", "rmi", "--no-prune", base], env=docker, seconds=120)


def ensure_image_loaded(
    result: Path, stage: build_stages.BuildStage, docker: dict[str, str], reporter: ProgressReporter
) -> str:
    """Have the node image in the daemon and return its name."""
    image = node_image_name(stage)
    if run_unchecked(["docker", "image", "inspect", image], env=docker).returncode != 0:
        with reporter.show_stage("load node image"):
            run_checked(["docker", "load", "-i", str(result / "node.tar")], seconds=900, env=docker)
    return image


def remove_older_images(image: str, docker: dict[str, str]) -> None:
    """Remove the node images of earlier inputs from the daemon; one in use stays."""
    repository = image.rpartition(":")[0]
    form = ["--format", "{{.Repository}}:{{.Tag}}"]
    listed = run_unchecked(["docker", "images", *form, repository], env=docker).stdout.split()
    for name in listed:
        if name != image:
            run_unchecked(["docker", "rmi", name], env=docker)
