"""Plans the ports of an app: those of its container together with those of its Service."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from selfhealing.api import limits, names
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.importer.defaults import container_ports
from selfhealing.importer.json_values import Json, as_map, as_maps, get_path

_PORT_NAME: Final = compile_pattern(limits.port_name["pattern"])
_MAX_NAME: Final = 15
_HANDLERS: Final = ("httpGet", "tcpSocket")


@dataclass(slots=True)
class _Entry:
    """One port of the app."""

    number: int
    protocol: str
    name: str | None
    service: Json | None = None
    """The port of the Service; None for one that is not in it."""

    container: Json = field(default_factory=dict)
    """The port of the container."""

    @property
    def has_only_number(self) -> bool:
        """Whether the short form ``port`` can say it."""
        more = "appProtocol" in (self.service or {}) or "hostPort" in self.container
        known = {None, names.PORT_NAME}
        return self.protocol == "TCP" and not more and {self.name, self.name_in_service} <= known

    @property
    def name_in_service(self) -> str | None:
        """The name of the port of the Service; None without one."""
        name = (self.service or {}).get("name")
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class PortPlan:
    """The ports of an app, as its spec says them."""

    main: int | None
    """``port``."""

    service_port: int | None
    """``service.port``: the number of ``port`` in the Service."""

    node_port: int | None
    """``service.nodePort``."""

    ports: tuple[Json, ...]
    """``ports``."""

    numbers: dict[str, int]
    """The numbers of the names of the app's ports."""


def target_number(service_port: Json, numbers: dict[str, int]) -> int | None:
    """Return the number of the pods' port that a port of a Service leads to.

    Args:
        service_port: the port of the Service.
        numbers: the named ports of the containers.
    """
    target = service_port.get("targetPort", service_port.get("port"))
    number = numbers.get(target) if isinstance(target, str) else target
    return number if isinstance(number, int) else None


def choose_app_container(pod_spec: Json, service: Json | None) -> int:
    """Return the index of the container that the Service leads to, else of the first one."""
    numbers = container_ports(pod_spec)
    targets = [target_number(port, numbers) for port in as_maps(get_path(service, "spec", "ports"))]
    for target in targets:
        for index, container in enumerate(as_maps(pod_spec.get("containers"))):
            own = {port.get("containerPort") for port in as_maps(container.get("ports"))}
            if target is not None and target in own:
                return index
    return 0


def plan_ports(container: Json, pod_spec: Json, service: Json | None) -> PortPlan:
    """Return the ports of an app by those of its container and of its Service."""
    entries = _name_entries(list(_find_entries(container, container_ports(pod_spec), service)))
    main = next((each for each in entries if each.name == names.PORT_NAME), None)
    if main is None or not main.has_only_number:
        taken = main is not None
        main = next(
            (e for e in entries if not taken and e.name is None and e.has_only_number), None
        )
    if service is not None and main is not None and main.service is None:
        main = None  # `port` is always in the Service
    in_service = main.service if main is not None and main.service is not None else {}
    rest = [each for each in entries if each is not main]
    numbers = {str(each.name or _number_name(each)): each.number for each in rest}
    if main is not None:
        numbers[names.PORT_NAME] = main.number
    return PortPlan(
        main=main.number if main else None,
        service_port=in_service.get("port"),
        node_port=in_service.get("nodePort"),
        ports=tuple(_to_spec(each, has_service=service is not None) for each in rest),
        numbers=numbers,
    )


def _find_entries(
    container: Json, numbers: dict[str, int], service: Json | None
) -> Iterator[_Entry]:
    own = {
        (port["containerPort"], str(port.get("protocol", "TCP"))): port
        for port in as_maps(container.get("ports"))
        if isinstance(port.get("containerPort"), int)
    }
    names_in_pod = {port.get("name") for port in own.values()}
    seen = set()
    for port in as_maps(get_path(service, "spec", "ports")):
        number = target_number(port, numbers)
        if number is None or not isinstance(port.get("port"), int):
            continue
        key = (number, str(port.get("protocol", "TCP")))
        declared = own.get(key, {})
        # Two ports of the Service that share one of the container have each a name of its own.
        name = declared.get("name") if key not in seen else None
        if name is None and port.get("name") not in names_in_pod:
            name = port.get("name")
        yield _Entry(
            *key,
            _valid_name(name),
            service=port,
            # Two ports of the Service that share one of the container have no port of the node.
            container={} if key in seen else declared,
        )
        seen.add(key)
    for key, port in own.items():
        if key not in seen:
            yield _Entry(*key, _valid_name(port.get("name")), container=port)


def _valid_name(name: object) -> str | None:
    is_valid = isinstance(name, str) and len(name) <= _MAX_NAME and _PORT_NAME.search(name)
    return str(name) if is_valid else None


def _name_entries(entries: list[_Entry]) -> list[_Entry]:
    """Remove names that are already taken, in place."""
    taken: set[str] = set()
    for entry in entries:
        if entry.name in taken:
            entry.name = None
        if entry.name is not None:
            taken.add(entry.name)
    return entries


def _number_name(entry: _Entry) -> str:
    """Return the name of a port that has none: port-8080, udp-53, port-80-8080 for a shared one."""
    prefix = "port" if entry.protocol == "TCP" else entry.protocol.lower()
    name = f"{prefix}-{entry.number}"
    exposed = (entry.service or {}).get("port", entry.number)
    return name if exposed == entry.number else f"p{exposed}-{entry.number}"


def _to_spec(entry: _Entry, *, has_service: bool) -> Json:
    result: Json = {"name": entry.name or _number_name(entry), "port": entry.number}
    if entry.protocol != "TCP":
        result["protocol"] = entry.protocol
    if entry.service is None:
        if has_service:
            result["expose"] = False
    else:
        if entry.service["port"] != entry.number:
            result["servicePort"] = entry.service["port"]
        if entry.name_in_service not in {None, result["name"]}:
            result["servicePortName"] = entry.name_in_service
        for key in ("appProtocol", "nodePort"):
            if key in entry.service:
                result[key] = entry.service[key]
    if "hostPort" in entry.container:
        result["hostPort"] = entry.container["hostPort"]
    return result


def omit_main_port(probe: Any, plan: PortPlan) -> Any:  # noqa: ANN401 - any JSON value
    """Return a probe without the port that is its default, which is that of the app."""
    if not isinstance(probe, dict) or plan.main is None:
        return probe
    result = dict(probe)
    for handler in (*_HANDLERS, "grpc"):
        port = as_map(probe.get(handler)).get("port")
        number = plan.numbers.get(port) if isinstance(port, str) else port
        if port is not None and number == plan.main:
            result[handler] = {k: v for k, v in probe[handler].items() if k != "port"}
    return result
