"""Every name that is part of the contract with users and with other controllers, once.

A label, an annotation or a reason that appears in two modules is imported from here.
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
"""Owns every field that the operator applies."""

HANDOVER_MANAGER: Final = "selfhealing-operator-handover"
"""Owns ``replicas`` for the moment in which it passes from the operator to the autoscaler."""

RESET_MANAGER: Final = "selfhealing-operator-reset"
"""Takes away what an apply cannot; it owns nothing once that is done."""

LABEL_APP: Final = f"{GROUP}/app"
"""The selector: the name of the resource, on every child and every pod."""

ANNOTATION_APPLIED_HASH: Final = f"{GROUP}/applied"
"""On a child: the hash of the manifest that was applied, so that a restart writes nothing."""

ANNOTATION_RUN_HASH: Final = f"{GROUP}/run"
"""On a Job: the hash of what cannot be changed in it, so that a change of that makes a new Job."""

ANNOTATION_CONFIG_HASH: Final = f"{GROUP}/config"
"""In a pod template: the hash of the ConfigMaps and Secrets that the pods read, so that a change of
these makes new pods."""

ANNOTATION_ADOPT: Final = f"{GROUP}/adopt"
"""On a stranger's object: "true" lets the operator take it over."""

ANNOTATION_APPROVE: Final = f"{GROUP}/approve"
"""On an app: the id of a proposed action, which a person wants carried out."""

ANNOTATION_RESUME: Final = f"{GROUP}/resume"
"""On an app: a person has looked after it, so healing may act again. Any new value counts, once."""

LABEL_QUARANTINED: Final = f"{GROUP}/quarantined"
"""On a pod that is kept apart for people to look at, instead of LABEL_APP: its app's name."""

CONTAINER_NAME: Final = "app"
"""The main container of every pod."""

PORT_NAME: Final = "http"
"""The main container port, and the Service's port."""

DEPLOYMENT: Final = "Deployment"
JOB: Final = "Job"
WORKLOAD_KINDS: Final = (DEPLOYMENT, JOB)
"""The kinds that create pods: an app has one of them."""
