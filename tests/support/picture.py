"""What the cluster looked like when a test failed."""

from tests.support.kube import kubectl

LIMIT = 6000
"""Characters of each look; the end of it is where the news are."""

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


def _look(namespace: str, *looks: tuple[str, ...]) -> str:
    parts = []
    for look in looks:
        output = kubectl("-n", namespace, *look, check=False)
        parts.append(f"$ kubectl -n {namespace} {' '.join(look)}\n" + output[-LIMIT:])
    return "\n".join(parts)
