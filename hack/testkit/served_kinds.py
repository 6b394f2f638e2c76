"""Has a cluster serve a kind that it may not have."""

from collections.abc import Callable

from hack.testkit.kube_client import Json, KubeClient, find_condition
from hack.testkit.wait import eventually


def ensure_served(kube: KubeClient, name: str, build_definition: Callable[[], Json]) -> None:
    """Install a CustomResourceDefinition, and wait until its kind is served.

    Args:
        kube: the client.
        name: the name of the definition, ``PLURAL.GROUP``. One that the cluster has already is left
            alone.
        build_definition: returns the definition, which has the version v1; it is called only if the
            cluster has none.
    """
    if kube.find("CustomResourceDefinition", None, name) is None:
        kube.apply(build_definition())
    plural, _, group = name.partition(".")

    def is_served() -> bool:
        found = kube.get("CustomResourceDefinition", None, name)
        return find_condition(found, "Established").get("status") == "True" and (
            kube.get_response(f"/apis/{group}/v1/{plural}").ok
        )

    eventually(is_served, description=f"{name} is served")
