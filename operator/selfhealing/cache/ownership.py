"""Which pods are an app's: those that a chain of controllers, by UID, leads to the app.

A label proves nothing, because whoever may create a pod may write any label. The chain is
pod -> ReplicaSet -> Deployment -> app, or pod -> Job -> app. Nobody can choose the UID of an
object, so a pod whose owner reference is forged to name the app's own ReplicaSet is a pod of that
ReplicaSet: Kubernetes itself counts it among the replicas.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from selfhealing.api import names
from selfhealing.cache.views import ChildView, PodView, ReplicaSetView


def is_own_orphan(metadata: Mapping[str, Any], app_name: str) -> bool:
    """Whether an object has no owner, and the labels of what the operator makes for an app.

    It was left by a restore from a backup or by ``kubectl delete --cascade=orphan``. Whoever may
    write the object may write labels, so nothing that it contains is trusted.
    """
    labels = metadata.get("labels") or {}
    return (
        not metadata.get("ownerReferences")
        and labels.get(names.LABEL_APP) == app_name
        and labels.get(names.LABEL_MANAGED_BY) == names.FIELD_MANAGER
    )


class OwnershipProof(NamedTuple):
    """What a pod was proved by. It holds while both are the same.

    The objects between them may be deleted before the pod: a pod that stops is still the app's.
    """

    app_uid: str
    controller_uid: str


def prove_ownership(
    pod: PodView,
    app_uid: str,
    children: Mapping[str, ChildView],
    replica_sets: Mapping[str, ReplicaSetView],
) -> OwnershipProof | None:
    """Follow the chain of controllers from a pod to the app.

    Args:
        pod: a pod with the app's label.
        app_uid: the UID of the app.
        children: the objects with the app's name, by kind.
        replica_sets: all known ReplicaSets, by UID.

    Returns:
        The proof; None if the chain leads elsewhere, or a part of it is unknown.
    """
    if not pod.controller_uid:
        return None
    replica_set = replica_sets.get(pod.controller_uid)
    if replica_set is not None:
        owner_uid, workload = replica_set.controller_uid, children.get(names.DEPLOYMENT)
    else:
        owner_uid, workload = pod.controller_uid, children.get(names.JOB)
    if workload is None or workload.uid != owner_uid or workload.owner_uid != app_uid:
        return None
    return OwnershipProof(app_uid, pod.controller_uid)
