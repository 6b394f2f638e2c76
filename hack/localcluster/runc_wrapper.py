"""A runc wrapper for machines whose root lacks CAP_SYS_RESOURCE.

``docker run --privileged``, which kind needs, requests every capability, and runc fails when one is
not available. The wrapper removes this capability, and what depends on it (lowering oom_score_adj,
raising rlimits), from the container's configuration, then executes runc. It is used only where the
capability is missing.
"""

import sys
from pathlib import Path
from typing import Final

CAP_SYS_RESOURCE_BIT: Final = 24

_WRAPPER: Final = """\
import json, os, sys

def trim(process):
    for names in (process.get("capabilities") or {}).values():
        if "CAP_SYS_RESOURCE" in names:
            names.remove("CAP_SYS_RESOURCE")
    process.pop("oomScoreAdj", None)
    process.pop("rlimits", None)

def rewrite(path, pick):
    with open(path) as file:
        config = json.load(file)
    process = pick(config)
    if process:
        trim(process)
        with open(path, "w") as file:
            json.dump(config, file)

def after(arguments, *flags):
    for here, argument in enumerate(arguments):
        for flag in flags:
            if argument == flag and here + 1 < len(arguments):
                return arguments[here + 1]
            if argument.startswith(flag + "="):
                return argument[len(flag) + 1:]
    return None

arguments = sys.argv[1:]
if "create" in arguments or "run" in arguments:
    bundle = after(arguments, "--bundle", "-b") or "."
    rewrite(os.path.join(bundle, "config.json"), lambda config: config.get("process"))
elif "exec" in arguments:
    path = after(arguments, "--process", "-p")
    if path:
        rewrite(path, lambda config: config)
os.execvp("runc", ["runc", *arguments])
"""


def has_sys_resource(status: str) -> bool:
    """Read from a ``/proc/PID/status`` text whether that process may raise resource limits."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE_BIT & 1)
    return True


def wrapper_script(python: str) -> str:
    """Return the wrapper's text; ``-IS`` keeps Python's start at a few milliseconds."""
    return f"#!{python} -IS\n{_WRAPPER}"


def write_wrapper(path: Path) -> None:
    """Write the wrapper so that the daemon can run it, under the machine's own Python."""
    python = str(Path(sys.executable).resolve())
    path.write_text(wrapper_script(python))
    path.chmod(0o755)
