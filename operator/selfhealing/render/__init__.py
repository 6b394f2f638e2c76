"""Spec to children: what one SelfHealingApp stands for in plain Kubernetes objects.

Everything here is a pure function from values to plain dicts. Nothing reads a cluster, a clock or
the environment, so that ``children`` can be replayed, compared and shown without a cluster.
"""

from selfhealing.render.children import build_children
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import Overrides

__all__ = ["Overrides", "Owner", "build_children"]
