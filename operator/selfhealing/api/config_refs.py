"""References to ConfigMaps and Secrets."""

from typing import Final, Literal, NamedTuple

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"  # noqa: S105 - the name of a kind

ConfigWatch = Literal["all", "configmaps", "off"]
"""The kinds that are watched. The right to watch Secrets is a right to read them."""

ROOT_CA_CONFIG_MAP: Final = "kube-root-ca.crt"
"""The ConfigMap that Kubernetes creates in each namespace. It is not watched, because it is large,
and a change of it would replace all pods of the cluster at once."""

ABSENT_DIGEST: Final = ""
"""The digest of a missing object."""

UNREAD_DIGEST: Final = "?"
"""Stands for the digest of an object that has not been read yet, or that cannot be read."""


class ConfigRef(NamedTuple):
    """A reference to a ConfigMap or Secret in the app's namespace."""

    kind: str
    name: str


ConfigKeys = frozenset[str] | None
"""The keys of a ConfigMap or Secret that are read; None for all of them."""


class ChangedConfig(NamedTuple):
    """A ConfigMap or Secret that has changed.

    Attributes:
        reference: the object.
        keys: the keys of a ConfigMap that are new, gone or have another value; empty if unknown.
    """

    reference: ConfigRef
    keys: tuple[str, ...] = ()


class ConfigObject(NamedTuple):
    """A ConfigMap or Secret that may exist."""

    namespace: str
    reference: ConfigRef

    def __str__(self) -> str:
        """Return kind, namespace and name for a log line."""
        return f"{self.reference.kind} {self.namespace}/{self.reference.name}"
