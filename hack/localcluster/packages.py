"""Debian packages the tool needs, installed by the tool itself.

Installing docker.io would also start a daemon for the whole machine; for the length of the
installation Debian's own switch (policy-rc.d) says that nothing may be started.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_logged, run_unchecked

REQUIRED_PACKAGES: Final = {
    "docker.io": "dockerd",
    "iptables": "iptables",
    "iproute2": "ip",
    "util-linux": "nsenter",
    "mmdebstrap": "mmdebstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
}
"""Package -> a program or file that shows it (or an equal) is there."""

_POLICY: Final = Path("/usr/sbin/policy-rc.d")


def list_missing(needed: dict[str, str] | None = None) -> list[str]:
    """List the packages whose program or file is not on this machine."""
    return [
        package
        for package, proof in (needed or REQUIRED_PACKAGES).items()
        if not (Path(proof).exists() if proof.startswith("/") else shutil.which(proof))
    ]


def ensure_packages(paths: Paths, reporter: ProgressReporter) -> None:
    """Install what is missing."""
    _add_sbin_to_path()
    missing_packages = list_missing()
    if not missing_packages and shutil.which("docker"):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(
            f"these Debian packages are missing: {' '.join(missing_packages)}; install them,"
            " or run this as root on Debian, or start a Docker daemon that can pull images"
        )
    with reporter.show_stage("packages", " ".join(missing_packages)), _prevent_service_start():
        _install(paths, missing_packages)
        if shutil.which("docker") is None:  # from Debian 13 on the client is a package of its own
            _install(paths, ["docker-cli"])
        if "docker.io" in missing_packages and Path("/run/systemd/system").is_dir():
            # Not asked for: a daemon for the whole machine from the next boot on.
            run_unchecked(["systemctl", "disable", "docker.service", "docker.socket"], seconds=30)
    still_missing = list_missing()
    if still_missing:
        raise ClusterError(
            f"apt-get installed {' '.join(still_missing)}, but nothing of it is to be found"
        )


def ensure_tools(paths: Paths, needed: dict[str, str], otherwise: str) -> None:
    """Install what is missing of packages that start nothing.

    Args:
        paths: where the log goes.
        needed: package -> its program or file, as in NEEDED.
        otherwise: what a user who cannot install packages may do instead.
    """
    missing_packages = list_missing(needed)
    if not missing_packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(
            f"these Debian packages are missing: {' '.join(missing_packages)}; install them,"
            f" or run this as root on Debian, or {otherwise}"
        )
    _install(paths, missing_packages)
    if still_missing := list_missing(needed):
        raise ClusterError(
            f"apt-get installed {' '.join(still_missing)}, but nothing of it is to be found"
        )


def _install(paths: Paths, names: list[str]) -> None:
    log = paths.logs / "packages.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run_logged(["apt-get", "update"], log, seconds=300, env=quiet)
    install = ["apt-get", "install", "-y", "--no-install-recommends"]
    waiting = ["-o", "DPkg::Lock::Timeout=300"]
    run_logged([*install, *waiting, *names], log, seconds=900, env=quiet)


def _add_sbin_to_path() -> None:
    """Find dockerd and iptables also where a user's PATH leaves out the sbin folders."""
    known = os.environ.get("PATH", "").split(":")
    extra = [name for name in ("/usr/local/sbin", "/usr/sbin", "/sbin") if name not in known]
    os.environ["PATH"] = ":".join([*known, *extra])


@contextlib.contextmanager
def _prevent_service_start() -> Iterator[None]:
    """Keep package scripts from starting services, without touching a policy that is there."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
