"""What is watched beside the apps, by setting and namespace."""

from typing import cast

import pytest

from selfhealing.api.config_refs import ConfigWatch
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.cache_sync import CACHED_RESOURCES
from selfhealing.controller.config_reader import ConfigReader
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.controller.watches import (
    CHILDREN,
    LABELLED_PODS,
    LABELLED_REPLICA_SETS,
    POD_EVENTS,
    Watches,
    build_watches,
    count_watches,
    select_configs,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.resources import APPS
from tests.unit.controller.fake_loop import now

NAMESPACES = pytest.mark.parametrize("namespaces", [(), ("shop",), ("shop", "bank")])
SETTINGS = pytest.mark.parametrize("watch", ["all", "configmaps", "off"])


def build(namespaces: tuple[str, ...], watch: ConfigWatch) -> Watches:
    """Build the watches of an operator."""
    store, queue = Store(), WorkQueue[AppKey]()
    client = cast("Client", None)
    reader = ConfigReader(client, store.config_index, queue, (), 0)
    handlers, access = EventHandlers(store, queue, 0), NamespaceAccess(store, queue, now)
    return build_watches(client, handlers, reader, namespaces, watch, access)


@NAMESPACES
@SETTINGS
async def test_there_is_a_connection_for_each_watch(
    namespaces: tuple[str, ...], watch: ConfigWatch
) -> None:
    """Else the requests of the workers would wait for the end of a watch."""
    watches = build(namespaces, watch)

    assert count_watches(namespaces, watch) == sum(
        map(len, (watches.objects, watches.pod_events, watches.configs))
    )


@SETTINGS
def test_contents_of_configuration_are_never_watched(watch: ConfigWatch) -> None:
    """Of the kinds of the setting, the metadata."""
    selections = list(select_configs(watch))

    assert {"all": ["ConfigMap", "Secret"], "configmaps": ["ConfigMap"], "off": []}[watch] == [
        selection.resource.kind for selection in selections
    ]
    assert all(selection.metadata_only for selection in selections)


def test_all_that_the_start_waits_for_is_watched() -> None:
    """Whole objects only by the app's label; kopf watches the apps."""
    assert {each.kind for each in CACHED_RESOURCES} - {APPS.kind} == {
        selection.resource.kind for selection in (*CHILDREN, LABELLED_REPLICA_SETS, LABELLED_PODS)
    }
    assert all(selection.labels for selection in (*CHILDREN, LABELLED_REPLICA_SETS, LABELLED_PODS))
    assert all("involvedObject.kind=Pod" in selection.fields for selection in POD_EVENTS)
