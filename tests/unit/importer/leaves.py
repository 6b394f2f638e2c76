"""Walks all leaves of manifests, independently of how the importer compares them."""

from collections.abc import Iterator
from typing import Any

from selfhealing.api.spec import parse_spec
from selfhealing.importer.compare import resolve_port_names
from selfhealing.importer.manifests import find_related
from selfhealing.importer.run import Difference, ImportResult
from selfhealing.render import Owner, build_children

Json = dict[str, Any]
Fields = tuple[str, ...]


def iter_leaves(value: Any, fields: Fields = ()) -> Iterator[tuple[Fields, Any]]:  # noqa: ANN401
    """Yield the fields that lead to each scalar, without the indexes of lists, and the scalar."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from iter_leaves(item, (*fields, key))
    elif isinstance(value, list):
        for item in value:
            yield from iter_leaves(item, fields)
    else:
        yield fields, value


def render(result: ImportResult) -> dict[str, Json]:
    """The children of an imported app, by kind."""
    meta = result.app["metadata"]
    owner = Owner(meta.get("namespace", "default"), meta["name"], "")
    return {child["kind"]: child for child in build_children(owner, parse_spec(result.app["spec"]))}


def find_lost(objects: list[Json], result: ImportResult, name: str | None = None) -> list[str]:
    """The leaves of all objects that belong to the app and are neither rendered nor named."""
    related = find_related(objects, name)
    children = render(result)
    named = (*result.differences, *result.unsaid)
    pods = [
        each["spec"]["template"]["spec"] for each in (related.deployment, children["Deployment"])
    ]
    services = [related.service, children.get("Service")]
    lost = []
    for given in related.imported:
        kind = given["kind"]
        child = children.get(kind)
        old = resolve_port_names(given, pods[0], services[0])
        new = resolve_port_names(child, pods[1], services[1]) if child else {}
        said = {(fields, repr(leaf)) for fields, leaf in iter_leaves(new)}
        lost += [
            f"{kind}.{'.'.join(fields)}: {leaf!r}"
            for fields, leaf in iter_leaves(old)
            if (fields, repr(leaf)) not in said
            and not any(_names(each, kind, fields, leaf) for each in named)
        ]
    lost += [
        f"{other['kind']} {other['metadata']['name']}"
        for other in related.others
        if not any(each.path == f"{other['kind']} {other['metadata']['name']}" for each in named)
    ]
    return lost


def _names(difference: Difference, kind: str, fields: Fields, leaf: object) -> bool:
    """Whether a difference is about this leaf."""
    path = "".join(_outside_brackets(difference.path))
    is_whole = path == kind
    is_above = path == ".".join((kind, *fields)) or ".".join((kind, *fields)).startswith(f"{path}.")
    values = [repr(each) for _, each in iter_leaves(difference.given)]
    return is_whole or (is_above and repr(leaf) in values)


def _outside_brackets(path: str) -> Iterator[str]:
    depth = 0
    for char in path:
        depth += char == "["
        if not depth:
            yield char
        depth -= char == "]"
