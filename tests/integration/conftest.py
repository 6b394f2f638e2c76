"""The fixtures of this layer."""

from hack.testkit.fixtures import (
    fake_nodes,
    kube,
    kubelet,
    name,
    namespace,
    operator,
    settings,
    space,
)

__all__ = ["fake_nodes", "kube", "kubelet", "name", "namespace", "operator", "settings", "space"]
