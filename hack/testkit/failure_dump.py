"""The state of the cluster after a test has failed."""

import re

from hack.testkit.kube_client import run_kubectl

MAX_CHARACTERS = 6000
"""Characters of the output of each command; its end is kept."""

MAX_LINE_CHARACTERS = 200

_PODS = (
    "{range .items[*]}{.metadata.namespace}/{.metadata.name} on {.spec.nodeName}: {.status.phase}"
    "{range .status.containerStatuses[*]} {.name} ready={.ready} restarts={.restartCount}"
    " {.lastState.terminated.reason}{.lastState.terminated.exitCode}"
    ' {.lastState.terminated.finishedAt}{end}{"\\n"}{end}'
)
_APIS = (
    "{range .items[*]}{.metadata.name}"
    ' {.status.conditions[?(@.type=="Available")].message}'
    ' {.status.conditions[?(@.type=="Available")].status}{"\\n"}{end}'
)
_SYSTEM_POD = re.compile(r"(kube-system|monitoring)/\S+ on (?!kwok-)")
_HEALTHY_POD = re.compile(r": Running( \S+ ready=true restarts=0\s*)+$")

DUMPED_KINDS = "deployments,replicasets,jobs,services,hpa,pdb,pods"


def dump_app(namespace: str, name: str) -> str:
    """Return the app, its children and pods, and the last Events."""
    return _run_commands(
        namespace,
        ("get", "selfhealingapp", name, "-o", "yaml"),
        ("get", DUMPED_KINDS, "-l", f"selfhealing.dev/app={name}", "-o", "wide"),
        ("get", DUMPED_KINDS.replace(",pods", ""), name, "-o", "wide", "--ignore-not-found"),
        ("events", "--for", f"selfhealingapp/{name}"),
    )


def dump_namespace(namespace: str) -> str:
    """Return the resources, the pods and the last Events of a namespace."""
    return _run_commands(
        namespace,
        ("get", f"selfhealingapps,{DUMPED_KINDS}", "-o", "wide"),
        ("get", "pods", "-o", f"jsonpath={_PODS}"),
        (
            "get",
            "selfhealingapps",
            "-o",
            'jsonpath={range .items[*]}{.metadata.name}: {.status}{"\\n"}{end}',
        ),
        ("get", "events", "--sort-by=.metadata.creationTimestamp"),
    )


def dump_system() -> str:
    """Return what the tests depend on and is not healthy, one line each; empty if nothing.

    These are restarted or unready pods on real nodes and unavailable APIs.
    """
    pods = run_kubectl("get", "pods", "-A", "--no-headers", "-o", f"jsonpath={_PODS}", check=False)
    apis = run_kubectl("get", "apiservices", "-o", f"jsonpath={_APIS}", check=False)
    unhealthy = [
        line
        for line in pods.splitlines()
        if _SYSTEM_POD.match(line) and not _HEALTHY_POD.search(line)
    ]
    unhealthy += [f"API {line}" for line in apis.splitlines() if not line.endswith(" True")]
    return "\n".join(line[:MAX_LINE_CHARACTERS] for line in unhealthy)


def _run_commands(namespace: str, *commands: tuple[str, ...]) -> str:
    parts = []
    for command in commands:
        output = run_kubectl("-n", namespace, *command, check=False)
        parts.append(f"$ kubectl -n {namespace} {' '.join(command)}\n" + output[-MAX_CHARACTERS:])
    return "\n".join(parts)
