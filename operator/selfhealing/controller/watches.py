"""The watches of the operator beside kopf's: what is selected, and who handles it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from selfhealing.api import names
from selfhealing.api.config_refs import ConfigWatch as ConfigWatchSetting
from selfhealing.controller.config_reader import ConfigReader, ConfigWatch
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.controller.reflector import EventHandlerFunc, Reflector
from selfhealing.kube.client import Client, Selection
from selfhealing.kube.resources import (
    CONFIG_FIELD_SELECTORS,
    CONFIG_SOURCES,
    EVENTS,
    PODS,
    REPLICA_SETS,
    WATCHED_CHILDREN,
)

CHILDREN: Final = tuple(Selection(child, labels=names.LABEL_APP) for child in WATCHED_CHILDREN)
LABELLED_REPLICA_SETS: Final = Selection(REPLICA_SETS, labels=names.LABEL_APP)
LABELLED_PODS: Final = Selection(PODS, labels=names.LABEL_APP)
POD_EVENTS: Final = (
    Selection(EVENTS, fields="involvedObject.kind=Pod,reason=Killing", has_bookmarks=False),
    Selection(EVENTS, fields="involvedObject.kind=Pod,type=Warning", has_bookmarks=False),
)
"""One field selector cannot ask for several reasons. The API server serves a watch of Events from
etcd and reads every Event for each, so there is one watch for the kills, which are of the type
Normal, and one for all warnings, not one for each reason."""
MAX_LISTED_POD_EVENTS: Final = 20_000
"""Events of the last hour that are read at the start of each watch, about 20 MB. They only
attribute what was before the start; to list all that somebody may write in an hour could take
longer than the API server keeps the version from which the watch goes on."""


@dataclass(frozen=True, slots=True)
class Watches:
    """The reflectors of one operator.

    Attributes:
        objects: of the children and pods.
        pod_events: of the Events about pods; to be started when the pods are known.
        configs: of the metadata of ConfigMaps and Secrets.
    """

    objects: tuple[Reflector, ...]
    pod_events: tuple[Reflector, ...]
    configs: tuple[Reflector, ...]


def select_configs(config_watch: ConfigWatchSetting) -> Iterator[Selection]:
    """Iterate over the metadata that is watched with this setting."""
    for resource in CONFIG_SOURCES[config_watch]:
        fields = CONFIG_FIELD_SELECTORS[resource.kind]
        yield Selection(resource, fields=fields, metadata_only=True)


def count_watches(namespaces: Sequence[str], config_watch: ConfigWatchSetting) -> int:
    """Return the number of connections that the watches keep open."""
    selections = (
        *CHILDREN,
        LABELLED_REPLICA_SETS,
        LABELLED_PODS,
        *POD_EVENTS,
        *select_configs(config_watch),
    )
    return len(selections) * max(1, len(namespaces))


def build_watches(  # noqa: PLR0913, PLR0917 - who watches what where, and who is told
    client: Client,
    event_handlers: EventHandlers,
    config_reader: ConfigReader,
    namespaces: Sequence[str],
    config_watch: ConfigWatchSetting,
    access: NamespaceAccess,
) -> Watches:
    """Build the reflectors for ``namespaces``, none means all; nothing is started."""
    on_child = EventHandlerFunc(event_handlers.on_child)
    on_replica_set = EventHandlerFunc(event_handlers.on_replica_set)
    on_pod = EventHandlerFunc(event_handlers.on_pod)
    on_pod_event = EventHandlerFunc(event_handlers.on_pod_event)
    places: Sequence[str | None] = namespaces or (None,)
    return Watches(
        objects=tuple(
            Reflector(client, selection, place, handler, access=access)
            for selection, handler in (
                *((child, on_child) for child in CHILDREN),
                (LABELLED_REPLICA_SETS, on_replica_set),
                (LABELLED_PODS, on_pod),
            )
            for place in places
        ),
        pod_events=tuple(
            Reflector(client, selection, place, on_pod_event, MAX_LISTED_POD_EVENTS)
            for selection in POD_EVENTS
            for place in places
        ),
        configs=tuple(
            Reflector(
                client, selection, place, ConfigWatch(config_reader, selection.resource.kind, place)
            )
            for selection in select_configs(config_watch)
            for place in places
        ),
    )
