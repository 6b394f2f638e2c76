"""What pods are configured by: ConfigMaps and Secrets, and how they are spoken of."""

from typing import Final, Literal, NamedTuple

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"  # noqa: S105 - the name of a kind
CONFIG_KINDS: Final = frozenset({CONFIG_MAP, SECRET})

ConfigWatch = Literal["all", "configmaps", "off"]
"""What is watched of them: a right to watch Secrets is a right to read them."""

ROOT_CA_CONFIG_MAP: Final = "kube-root-ca.crt"
"""The ConfigMap that Kubernetes puts into every namespace. It is not watched: it is large, there
are many of it, and it changes for all pods of the cluster at once."""

ABSENT_DIGEST: Final = ""
"""Stands for the digest of what is not there."""


class ConfigRef(NamedTuple):
    """A ConfigMap or a Secret that the pods of an app refer to, in the app's own namespace."""

    kind: str
    name: str
