"""The names that users and other controllers rely on: the API group, labels, annotations, managers.

A label or annotation that two modules use is imported from here.
"""

from typing import Final

GROUP: Final = "selfhealing.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "SelfHealingApp"
PLURAL: Final = "selfhealingapps"
SINGULAR: Final = "selfhealingapp"
SHORT_NAMES: Final = ("sha",)

FIELD_MANAGER: Final = "selfhealing-operator"
"""The field manager that owns the fields that the operator applies."""

HANDOVER_MANAGER: Final = "selfhealing-operator-handover"
"""The field manager that owns ``replicas`` while the autoscaler takes the field over."""

RESET_MANAGER: Final = "selfhealing-operator-reset"
"""The field manager that removes fields that an apply cannot remove; it owns no fields later."""

EVENT_CONTROLLER: Final = f"{GROUP}/operator"
"""The controller that the operator's Events name."""

LABEL_APP: Final = f"{GROUP}/app"
"""The app's name, on its children and pods; the selector of the pods."""

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""On its children and pods: FIELD_MANAGER."""

ANNOTATION_APPLIED_HASH: Final = f"{GROUP}/applied"
"""On a child: the hash of the applied manifest, by which a restarted operator sees no change."""

ANNOTATION_RUN_HASH: Final = f"{GROUP}/run"
"""On a Job: the hash of the Job's immutable fields; a different hash means to replace the Job."""

ANNOTATION_CONFIG_HASH: Final = f"{GROUP}/config"
"""In a pod template: the hash of the ConfigMaps and Secrets that the pods read. A change of these
changes the template, which replaces the pods."""

ANNOTATION_CONFIG_SOURCE: Final = f"{GROUP}/config-source"
"""On a copy of a ConfigMap: the name of that ConfigMap."""

ANNOTATION_CONFIG_DIGESTS: Final = f"{GROUP}/config-digests"
"""On a copy of a ConfigMap: the digests that ANNOTATION_CONFIG_HASH is the hash of."""

LABEL_CONFIG_COPY: Final = f"{GROUP}/config-copy"
"""On a copy of a ConfigMap, which a rollback mounts: its app's name."""

ANNOTATION_ADOPT: Final = f"{GROUP}/adopt"
"""On an object without an owner: "true" lets the operator take it over as a child."""

ANNOTATION_FAILED_REVISION: Final = f"{GROUP}/failed-revision"
"""On a Deployment: the revision that it was rolled back from. It stays when a status is lost."""

ANNOTATION_APPROVE: Final = f"{GROUP}/approve"
"""On an app: the id of a proposed action that a person approves."""

ANNOTATION_RESUME: Final = f"{GROUP}/resume"
"""On an app: ends its quarantine and resets its budget. Each new value takes effect once."""

ANNOTATION_RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
"""In a pod template: what ``kubectl rollout restart`` sets."""

ANNOTATION_SCRAPE: Final = "prometheus.io/scrape"
ANNOTATION_SCRAPE_PATH: Final = "prometheus.io/path"
ANNOTATION_SCRAPE_PORT: Final = "prometheus.io/port"
SCRAPE_ANNOTATIONS: Final = (ANNOTATION_SCRAPE, ANNOTATION_SCRAPE_PATH, ANNOTATION_SCRAPE_PORT)
"""In a pod template: the annotations by which many configurations of Prometheus find pods."""

LABEL_NAME: Final = f"{GROUP}/name"
"""On pods whose label ``app`` is given by the spec: their app's name, also while they are isolated.
"""

LABEL_QUARANTINED: Final = f"{GROUP}/quarantined"
"""On an isolated pod, which is kept for inspection: its app's name, instead of LABEL_APP."""

LABEL_EVIDENCE_LOGS: Final = f"{GROUP}/evidence-logs"
"""On a Namespace: "false" keeps log lines out of the evidence of all of its apps; "true" lets them
in for apps whose spec does not say."""

CONTAINER_NAME: Final = "app"
"""The name of the app's container in each pod."""

PORT_NAME: Final = "http"
"""The name of the app's container port, and of the Service's port."""

SERVICE_ACCOUNT: Final = "ServiceAccount"
DEPLOYMENT: Final = "Deployment"
JOB: Final = "Job"
WORKLOAD_KINDS: Final = (DEPLOYMENT, JOB)
"""The kinds of workloads, which create pods; an app has one of them."""


def revision_name(app: str, revision: str) -> str:
    """Return the name of the ControllerRevision that stores a revision of ``app``."""
    return f"{app}-{revision}"
