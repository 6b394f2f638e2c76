"""Counts the objects that are created and deleted in a namespace while a story is told."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from hack.sieve.end_state import KINDS, OF_KUBERNETES
from hack.testkit.errors import ApiError
from hack.testkit.kube_client import Json, KubeClient, object_path
from hack.testkit.namespace import KIND, AppNamespace

COUNTED_KINDS = tuple(kind for kind in KINDS if kind != KIND)
"""The app itself is created and deleted by the story."""

WATCH_SECONDS = 1
"""How long a watch lasts. It replays every change since the one before, so that nothing that lived
briefly is missed."""

PAUSE_SECONDS = 20.0
"""Seconds between two watches: the API server replays the changes of about a minute at least."""

WORDS: Mapping[str, str] = {"ADDED": "created", "DELETED": "deleted"}


class ChangeCounter:
    """Counts until the block ends, by ``created Kind`` and ``deleted Kind``."""

    def __init__(self, space: AppNamespace) -> None:
        self._namespace = space.name
        self._changes: set[tuple[str, str]] = set()
        # A session must not be used by several threads, and opening one costs more than a request.
        self._clients = {kind: KubeClient() for kind in COUNTED_KINDS}
        self._since = self._until = _read_version(space.kube, space.name)
        self._has_ended = threading.Event()
        self._lock = threading.Lock()
        self._error: ApiError | None = None
        self._thread = threading.Thread(target=self._run, name="counter")

    def __enter__(self) -> Self:
        """Begin to count."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        self._has_ended.set()
        self._thread.join()

    def read_counts(self) -> dict[str, int]:
        """Return what was created and deleted until now.

        Raises:
            ApiError: the API server no longer has all changes since the last look.
        """
        self._count()
        if self._error is not None:
            raise self._error
        return dict(sorted(Counter(change for change, _ in list(self._changes)).items()))

    def _run(self) -> None:
        while not self._has_ended.wait(PAUSE_SECONDS):
            try:
                self._count()
            except ApiError as error:
                self._error = error
                return

    def _count(self) -> None:
        """Replay what has happened since the look before the last one.

        A watch may be behind at its end: what it did not bring is seen at the next look.
        """
        with self._lock, ThreadPoolExecutor(len(COUNTED_KINDS)) as pool:
            latest = _read_version(self._clients["ConfigMap"], self._namespace)
            list(pool.map(self._replay, COUNTED_KINDS))
            self._since, self._until = self._until, latest

    def _replay(self, kind: str) -> None:
        query = f"watch=true&resourceVersion={self._since}&timeoutSeconds={WATCH_SECONDS}"
        response = self._clients[kind].get_response(f"{object_path(kind, self._namespace)}?{query}")
        if not response.ok:
            raise ApiError(f"{kind}: {response.text}", response.status_code)
        for line in response.iter_lines():
            event = json.loads(line)
            item: Json = event["object"]
            if event["type"] == "ERROR":
                raise ApiError(f"{kind}: {item['message']}", item["code"])
            if event["type"] in WORDS and item["metadata"]["name"] not in OF_KUBERNETES:
                self._changes.add((f"{WORDS[event['type']]} {kind}", item["metadata"]["uid"]))


def _read_version(kube: KubeClient, namespace: str) -> str:
    """Return the resource version of the cluster now."""
    listed = kube.get_path(object_path("ConfigMap", namespace)) or {}
    return str(listed["metadata"]["resourceVersion"])
