"""The fixtures of this layer."""

from tests.support.fixtures import (
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
