"""Carries out what a person wants to do with an app."""

from typing import Any, Final, Protocol

from selfhealing.kube.errors import ConflictError, NotFoundError
from selfhealing.kube.resources import APPS, Resource
from selfhealing.plugin.cluster.reader import Cluster, describe_missing_app
from selfhealing.plugin.view.actions import Operation, find_proposal, plan_change
from selfhealing.plugin.view.build import build_app
from selfhealing.plugin.view.objects import AppObjects

MAX_TRIES: Final = 5
"""The operator writes the status of an app that changes several times a second at most; each write
makes a patch for the version before fail."""

Json = dict[str, Any]


class WritableCluster(Cluster, Protocol):
    """What is needed of the API server to change an app."""

    def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Merge a patch into an object."""


def operate(
    cluster: WritableCluster,
    namespace: str,
    name: str,
    operation: Operation,
    action_id: int | None = None,
) -> str:
    """Carry out an operation on an app; return what was done, as a sentence.

    Args:
        cluster: the API server.
        namespace: the app's namespace.
        name: the app's name.
        operation: what is to be done.
        action_id: for APPROVE, the only proposal that may be approved; None for the present one.

    Raises:
        AppNotFoundError: there is no app of this name.
        OperationRefusedError: it would have no effect.
        ApiError: the app cannot be read or changed.
    """
    for tries in range(MAX_TRIES):
        try:
            raw = cluster.get(APPS, namespace, name)
        except NotFoundError as error:
            raise describe_missing_app(cluster, namespace, name) from error
        app = build_app(AppObjects(app=raw, read_at=cluster.now))
        if operation is Operation.APPROVE and action_id is None and (found := find_proposal(app)):
            action_id = found.id  # another try must not approve another action
        change = plan_change(app, operation, action_id)
        if not change.patch:
            break
        try:
            cluster.merge_patch(APPS, namespace, name, change.patch)
        except ConflictError:
            if tries + 1 == MAX_TRIES:
                raise
        else:
            break
    return change.effect
