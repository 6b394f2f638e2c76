"""Compares manifests with what the operator renders instead of them, leaf by leaf."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.importer.defaults import container_ports
from selfhealing.importer.json_values import (
    Json,
    Where,
    as_map,
    as_maps,
    change_objects,
    get_path,
    has_leaves,
    list_keys,
)
from selfhealing.importer.ports import target_number

_CONTAINER_LISTS: Final = ("containers", "initContainers")
_HANDLERS: Final = ("httpGet", "tcpSocket")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that is rendered otherwise, or not at all."""

    where: Where
    given: Any
    rendered: Any
    """None if nothing is rendered there."""


def find_mismatches(given: Json, rendered: Json, renamed: Mapping[str, str]) -> Iterator[Mismatch]:
    """Yield what a manifest says and its rendered counterpart does not.

    Args:
        given: the manifest, without Kubernetes' defaults.
        rendered: the manifest that the operator renders.
        renamed: the new names of containers.
    """
    yield from _compare(given, rendered, (), renamed)


def _compare(
    given: Any,  # noqa: ANN401 - any JSON value
    rendered: Any,  # noqa: ANN401 - any JSON value
    where: Where,
    renamed: Mapping[str, str],
) -> Iterator[Mismatch]:
    if not has_leaves(given):
        return
    if isinstance(given, dict) and isinstance(rendered, dict):
        for key, value in given.items():
            yield from _compare(value, rendered.get(key), (*where, key), renamed)
    elif _is_object_list(given) and (rendered is None or _is_object_list(rendered)):
        field = where[-1]
        theirs = dict(zip(list_keys(field, rendered or []), rendered or [], strict=True))
        for key, item in zip(list_keys(field, given), given, strict=True):
            new = f"[{renamed.get(key[1:-1], key[1:-1])}]" if field in _CONTAINER_LISTS else key
            yield from _compare(item, theirs.get(new), (*where, key), renamed)
    elif type(given) is not type(rendered) or given != rendered:
        yield Mismatch(where, given, rendered)


def _is_object_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def resolve_port_names(manifest: Json, pod_spec: Json, service: Json | None) -> Json:
    """Return a manifest in which references to ports are numbers, whatever the ports are called.

    Args:
        manifest: the manifest.
        pod_spec: the pods to which it belongs.
        service: the Service in front of them.
    """
    if manifest["kind"] == "Deployment":
        return {**manifest, "spec": _resolve_containers(manifest["spec"])}
    if manifest["kind"] == "Service":
        return _resolve_targets(manifest, container_ports(pod_spec))
    if manifest["kind"] == "Ingress":
        ports = as_maps(get_path(service, "spec", "ports"))
        return dict(
            _resolve_backends(manifest, {p["name"]: p.get("port") for p in ports if "name" in p})
        )
    return manifest


def _resolve_containers(spec: Json) -> Json:
    template = as_map(spec.get("template"))
    pod_spec = dict(as_map(template.get("spec")))
    for field in _CONTAINER_LISTS:
        if field in pod_spec:
            pod_spec[field] = [
                _resolve_handlers(each, container_ports({"containers": [each]}))
                for each in as_maps(pod_spec[field])
            ]
    return {**spec, "template": {**template, "spec": pod_spec}}


def _resolve_handlers(value: Any, numbers: Mapping[str, int]) -> Any:  # noqa: ANN401 - any JSON value

    def resolve(found: Json) -> Json:
        for handler in _HANDLERS:
            port = get_path(found, handler, "port")
            if isinstance(port, str):
                found[handler] = {**found[handler], "port": numbers.get(port, port)}
        return found

    return change_objects(value, resolve)


def _resolve_targets(service: Json, numbers: dict[str, int]) -> Json:
    ports = [
        {**port, "targetPort": target_number(port, numbers) or port.get("targetPort")}
        for port in as_maps(get_path(service, "spec", "ports"))
    ]
    return {**service, "spec": {**as_map(service.get("spec")), "ports": ports}}


def _resolve_backends(value: Any, numbers: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value

    def resolve(found: Json) -> Json:
        name = get_path(found, "service", "port", "name")
        if name in numbers:
            found["service"] = {**found["service"], "port": {"number": numbers[name]}}
        return found

    return change_objects(value, resolve)
