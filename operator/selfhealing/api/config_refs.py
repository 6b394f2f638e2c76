"""References to ConfigMaps and Secrets."""

from typing import Final, Literal, NamedTuple

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"  # noqa: S105 - the name of a kind
CONFIG_KINDS: Final = frozenset({CONFIG_MAP, SECRET})

ConfigWatch = Literal["all", "configmaps", "off"]
"""The kinds that are watched. The right to watch Secrets is a right to read them."""

ROOT_CA_CONFIG_MAP: Final = "kube-root-ca.crt"
"""The ConfigMap that Kubernetes creates in each namespace. It is not watched, because it is large,
and a change of it would replace all pods of the cluster at once."""

ABSENT_DIGEST: Final = ""
"""The digest of a missing object."""


class ConfigRef(NamedTuple):
    """A reference to a ConfigMap or Secret in the app's namespace."""

    kind: str
    name: str
