"""What the cluster looked like when a test failed."""

import re

from hack.testkit.kube_client import kubectl

LIMIT = 6000
"""Characters of each look; the end of it is where the news are."""

SYSTEM_LINE = 200

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
_SYSTEM = re.compile(r"(kube-system|monitoring)/\S+ on (?!kwok-)")
_WELL = re.compile(r": Running( \S+ ready=true restarts=0\s*)+$")

KINDS = "deployments,replicasets,jobs,services,hpa,pdb,pods"


def of_app(namespace: str, name: str) -> str:
    """Everything worth a look of one app: itself, its children and pods, the last Events."""
    return _look(
        namespace,
        ("get", "selfhealingapp", name, "-o", "yaml"),
        ("get", KINDS, "-l", f"selfhealing.dev/app={name}", "-o", "wide"),
        ("get", KINDS.replace(",pods", ""), name, "-o", "wide", "--ignore-not-found"),
        ("events", "--for", f"selfhealingapp/{name}"),
    )


def of_namespace(namespace: str) -> str:
    """Everything worth a look in a namespace: resources, pods, the last Events."""
    return _look(
        namespace,
        ("get", f"selfhealingapps,{KINDS}", "-o", "wide"),
        (
            "get",
            "selfhealingapps",
            "-o",
            'jsonpath={range .items[*]}{.metadata.name}: {.status}{"\\n"}{end}',
        ),
        ("get", "events", "--sort-by=.metadata.creationTimestamp"),
    )


def of_system() -> str:
    """What the tests rest on and is not well: restarts and unready pods on real nodes, dead APIs.

    One line each; nothing where all is well.
    """
    pods = kubectl("get", "pods", "-A", "--no-headers", "-o", f"jsonpath={_PODS}", check=False)
    apis = kubectl("get", "apiservices", "-o", f"jsonpath={_APIS}", check=False)
    ill = [line for line in pods.splitlines() if _SYSTEM.match(line) and not _WELL.search(line)]
    ill += [f"API {line}" for line in apis.splitlines() if not line.endswith(" True")]
    return "\n".join(line[:SYSTEM_LINE] for line in ill)


def _look(namespace: str, *looks: tuple[str, ...]) -> str:
    parts = []
    for look in looks:
        output = kubectl("-n", namespace, *look, check=False)
        parts.append(f"$ kubectl -n {namespace} {' '.join(look)}\n" + output[-LIMIT:])
    return "\n".join(parts)
