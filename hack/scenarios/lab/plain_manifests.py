"""The plain Kubernetes objects that a SelfHealingApp stands for, as a reader would write them.

They are what the operator's own rendering makes, without what only the operator needs: the owner,
its labels and annotations, and the namespace. Made from a file alone; no cluster is asked.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from selfhealing.api import names
from selfhealing.api.spec import parse
from selfhealing.render.children import children
from selfhealing.render.meta import Owner

Json = dict[str, Any]


def plain(text: str) -> str:
    """The objects of a manifest as YAML; what is no SelfHealingApp stays as it is."""
    found = (made for given in yaml.safe_load_all(text) if given for made in _made(given))
    return "---\n".join(yaml.dump(made, Dumper=_Dumper, sort_keys=False) for made in found)


def _made(given: Json) -> Iterator[Json]:
    if given.get("kind") != names.KIND:
        yield given
        return
    name = given["metadata"]["name"]
    for child in children(Owner("lab", name, "none"), parse(given["spec"])):
        yield {**_unmarked(child, name), "metadata": {"name": name, "labels": {"app": name}}}


def _unmarked(value: Any, app: str) -> Any:  # noqa: ANN401  JSON
    """With the one label that a person would use, where the operator has its own."""
    if isinstance(value, list):
        return [_unmarked(item, app) for item in value]
    if not isinstance(value, dict):
        return value
    if names.LABEL_APP in value:
        return {"app": app}
    return {key: _unmarked(item, app) for key, item in value.items()}


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists under their key are indented, nothing is an anchor."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002  PyYAML's signature
        return super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002  PyYAML's signature
        return True
