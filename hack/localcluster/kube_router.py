"""The add-on ``kube-router``: its policy controller enforces NetworkPolicies by iptables and ipset.

The routes and the addresses of Services stay those of the cluster; see ``pod_network``.
"""

import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.localcluster import addon_images, build_stages, go_build, rootfs
from hack.localcluster.addon_images import AddonTarget, ImageContent
from hack.localcluster.kubectl import Kubectl, is_rolled_out, render_manifest
from hack.localcluster.node_image import IPTABLES_NAMES, select_members
from hack.localcluster.paths import Paths
from hack.localcluster.versions import DEBIAN_SUITE, KUBE_ROUTER
from hack.localcluster.wait import wait_until

NAME: Final = "kube-router"
NAMESPACE: Final = "kube-router"
PATH: Final = "github.com/cloudnativelabs/kube-router/v2"
STOCK_IMAGES: Final = {NAME: f"docker.io/cloudnativelabs/kube-router:{KUBE_ROUTER}"}

_PACKAGES: Final = "iptables,ipset"
_IPTABLES: Final = "usr/sbin/xtables-nft-multi"
_FILES: Final = (
    _IPTABLES,
    "usr/sbin/ipset",
    "usr/lib/*/xtables/*.so",
    *(f"usr/lib/*/{name}.so.*" for name in ("libipset", "libmnl", "libnftnl", "libxtables")),
)
_LIBC: Final = ("libc", "libm")
_SECONDS: Final = 120


def install_kube_router(target: AddonTarget) -> None:
    """Have the policy controller running on every node that is a real one."""
    images = addon_images.ensure_images(target, NAME, STOCK_IMAGES, _build_images)
    kubectl = target.kubectl
    with target.reporter.show_stage(f"add-on {NAME}"):
        kubectl.apply(render_kube_router(images))
        advice = f"see 'kubectl -n {NAMESPACE} get pods -l app={NAME}'"
        wait_until(f"{NAME} running on all nodes", _SECONDS, lambda: _is_running(kubectl), advice)


def render_kube_router(images: Mapping[str, str]) -> str:
    """Return the manifest."""
    return render_manifest(NAME, **addon_images.template_values(images))


def _is_running(kubectl: Kubectl) -> bool:
    return is_rolled_out(kubectl.get("daemonset", NAME, "-n", NAMESPACE))


def describe_programs_stage(paths: Paths) -> build_stages.BuildStage:
    """Describe the files of iptables and ipset, below ``root/``."""

    def build(result: Path) -> None:
        scratch = result / "scratch"
        scratch.mkdir()
        tarball = rootfs.unpack_package(paths, f"{NAME}-programs", _PACKAGES, result)
        with tarfile.open(tarball) as tar:
            names = [name for name in tar.getnames() if rootfs.is_library(name, _LIBC)]
            for name in [*names, *select_members(tar.getnames(), _FILES)]:
                tar.extract(name, scratch, set_attrs=False, filter="fully_trusted")
        root = result / "root"
        rootfs.copy_libraries(scratch, root, _LIBC)
        for file in (scratch / "usr").rglob("*"):
            if file.is_file():
                rootfs.copy_file(file, root / file.relative_to(scratch))
        for name in IPTABLES_NAMES:
            rootfs.copy_file(scratch / _IPTABLES, root / "usr/sbin" / name)
        tarball.unlink()
        shutil.rmtree(scratch)

    inputs = {"packages": _PACKAGES, "suite": DEBIAN_SUITE, "files": repr((_FILES, _LIBC))}
    return build_stages.BuildStage(f"{NAME}-programs", inputs, build)


def _build_images(target: AddonTarget) -> tuple[Sequence[ImageContent], Sequence[Path]]:
    built = build_stages.ensure_built(
        target.paths,
        go_build.describe_module_stage(target.paths, target.reporter, NAME),
        target.reporter,
    )
    programs = build_stages.ensure_built(
        target.paths, describe_programs_stage(target.paths), target.reporter
    )
    root = programs / "root"
    files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    program = f"usr/local/bin/{NAME}"
    contents = (ImageContent(NAME, KUBE_ROUTER, program, {**files, program: built / NAME}),)
    return contents, (built, programs)
