"""Renders the spec of a SelfHealingApp into the manifests of its children.

Pure functions from values to plain dicts: nothing reads the cluster, a clock or the environment.
"""

from selfhealing.render.children import build_children
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import Overrides

__all__ = ["Overrides", "Owner", "build_children"]
