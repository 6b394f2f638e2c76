"""Renders the Kubernetes objects of a SelfHealingApp as a reader would write them.

They are the children that the operator renders, without the owner, the operator's labels and
annotations and the namespace. No cluster is used.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from hack.testkit.yaml_text import parse_yaml_documents
from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.render.children import build_children
from selfhealing.render.meta import Owner

Json = dict[str, Any]


def render_plain_manifests(text: str) -> str:
    """Return the objects of a manifest as YAML; other objects than apps are not changed."""
    found = (
        manifest
        for given in parse_yaml_documents(text)
        if given
        for manifest in _plain_objects(given)
    )
    return "---\n".join(yaml.dump(manifest, Dumper=_Dumper, sort_keys=False) for manifest in found)


def _plain_objects(manifest: Json) -> Iterator[Json]:
    if manifest.get("kind") != names.KIND:
        yield manifest
        return
    name = manifest["metadata"]["name"]
    for child in build_children(Owner("lab", name, "none"), parse_spec(manifest["spec"])):
        yield {**_replace_labels(child, name), "metadata": {"name": name, "labels": {"app": name}}}


def _replace_labels(value: Any, app: str) -> Any:  # noqa: ANN401  JSON
    """Replace the operator's labels by the one label that a person would use."""
    if isinstance(value, list):
        return [_replace_labels(item, app) for item in value]
    if not isinstance(value, dict):
        return value
    if names.LABEL_APP in value:
        return {"app": app}
    return {key: _replace_labels(item, app) for key, item in value.items()}


class _Dumper(yaml.SafeDumper):
    """Writes YAML as people do: indented lists and no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002  PyYAML's signature
        return super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002  PyYAML's signature
        return True
