"""The fixtures of this layer."""

import pytest

from hack.testkit.fixtures import (
    fake_nodes,
    kube,
    kubelet,
    name,
    namespace,
    operator,
    operator_kubeconfig,
    space,
)

__all__ = [
    "fake_nodes",
    "kube",
    "kubelet",
    "name",
    "namespace",
    "operator",
    "operator_kubeconfig",
    "space",
]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Settings of the module's operator; a module that needs others has a fixture of this name.

    Nothing is remediated: the pods that tests let crash would be replaced, but only in a module
    that takes longer than the operator's quiet time of 60 s, so only on a busy machine.
    """
    return {"SELFHEALING_HEALING_QUIET": "3600"}
