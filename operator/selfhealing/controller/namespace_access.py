"""Which of the served namespaces refuse the operator.

With the setting ``namespaces`` the operator has rights in each of them alone, and whoever
administers one can take them away, or delete the namespace. That must not stop the others.
"""

import logging
from collections.abc import Callable
from typing import Final

from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.backoff import Backoff
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.errors import ApiError
from selfhealing.kube.metrics import NAMESPACE_REFUSED

logger = logging.getLogger(__name__)

RETRY_INITIAL: Final = 10.0
RETRY_MAX: Final = 120.0
"""Seconds until a namespace that refuses is asked again: at first, and at most."""

QUIET_SECONDS: Final = 60.0
"""Seconds without a refusal of a watch after which a namespace may be served again: each watch has
tried anew within them (``reflector.BACKOFF_MAX``, ``kopf_watches.RETRY_DELAY``)."""


class NamespaceAccess:
    """Notes in the store which namespaces refuse the operator; their apps are left alone.

    Where the operator serves the whole cluster no namespace can refuse it alone.
    """

    def __init__(self, store: Store, queue: WorkQueue[AppKey], clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._store = store
        self._queue = queue
        self._clock = clock
        self._refused_at: dict[str, float] = {}
        """By namespace that is left out, the time of the last refusal of a watch."""
        self._backoff: Backoff[str] = Backoff(
            clock, initial=RETRY_INITIAL, maximum=RETRY_MAX, jitter=0.5
        )

    def is_refused(self, namespace: str | None) -> bool:
        """Whether a namespace is left out now."""
        return namespace in self._store.refused_namespaces

    def last_refusal(self, namespace: str) -> float:
        """Return when a list or a watch was refused last in a namespace that is left out."""
        return self._refused_at[namespace]

    def find_due(self) -> list[str]:
        """Return the namespaces that refused and are to be asked again now."""
        return [
            namespace
            for namespace in sorted(self._store.refused_namespaces)
            if not self._backoff.retry_after(namespace)
            and self._clock() - self._refused_at[namespace] >= QUIET_SECONDS
        ]

    def refuse(self, namespace: str, error: object) -> None:
        """Leave a namespace out: a list or a watch of the operator was refused there."""
        self._refused_at[namespace] = self._clock()
        if namespace in self._store.refused_namespaces:
            return
        self._store.refused_namespaces.add(namespace)
        self._backoff.record_failure(namespace)
        NAMESPACE_REFUSED.labels(namespace).set(1)
        logger.error(
            "the namespace %s refuses the operator: its apps are left alone until it does not: %s",
            namespace,
            error,
        )

    def postpone(self, namespace: str, error: ApiError) -> None:
        """Ask a namespace later again: it still refuses, or does not answer."""
        delay = self._backoff.record_failure(namespace)
        logger.warning("%s is left out, retry in %.0f s: %s", namespace, delay, error)

    def restore(self, namespace: str) -> None:
        """Serve the apps of a namespace again: all of its objects are known."""
        self._store.refused_namespaces.remove(namespace)
        del self._refused_at[namespace]
        self._backoff.forget(namespace)
        NAMESPACE_REFUSED.remove(namespace)
        logger.info("the namespace %s is served again", namespace)
        for app in self._store.apps():
            if app.key.namespace == namespace:
                self._queue.add(app.key)
