"""Overlays of types that many others use: labels, references, quantities, conditions."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.limits import LABEL_KEYS_RULE, exactly_one_field, max_items, one_of
from selfhealing.api.scalars import TEXT_LIMIT, WORD_LIMIT
from selfhealing.crdgen.schema.overlay import Overlay
from selfhealing.crdgen.schema.published import INT_OR_STRING_TYPE, QUANTITY

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
CORE: Final = "io.k8s.api.core.v1"

LABEL_KEY: Final = limits.LABEL_KEY_PATTERN[1:-1]

VALUES_BY_OPERATOR: Final = Rule(
    cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    message="In and NotIn need values; Exists and DoesNotExist have none",
)

OVERLAYS: Final = {
    QUANTITY: Overlay(keywords=limits.quantity),
    INT_OR_STRING_TYPE: Overlay(keywords={"maxLength": 32}),
    f"{META}.LabelSelector": Overlay(
        fields={
            "matchLabels": Overlay(
                keywords={"maxProperties": 16}, values=limits.label_value, rules=(LABEL_KEYS_RULE,)
            ),
            "matchExpressions": max_items(16),
        }
    ),
    f"{META}.LabelSelectorRequirement": Overlay(
        fields={
            "key": limits.label_key,
            "operator": one_of("In", "NotIn", "Exists", "DoesNotExist"),
            "values": Overlay(keywords=max_items(32), items=limits.label_value),
        },
        rules=(VALUES_BY_OPERATOR,),
    ),
    # A volume claim template has labels and annotations; Kubernetes sets the other fields.
    f"{META}.ObjectMeta": Overlay(
        drop=dict.fromkeys(
            (
                "creationTimestamp",
                "deletionGracePeriodSeconds",
                "deletionTimestamp",
                "finalizers",
                "generateName",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "ownerReferences",
                "resourceVersion",
                "selfLink",
                "uid",
            ),
            "Kubernetes sets it",
        ),
        fields={
            "labels": Overlay(
                keywords={"maxProperties": 16}, values=limits.label_value, rules=(LABEL_KEYS_RULE,)
            ),
            "annotations": Overlay(
                keywords={"maxProperties": 16}, values={"maxLength": 4096}, rules=(LABEL_KEYS_RULE,)
            ),
        },
    ),
    # The limits of metav1.Condition are missing in its OpenAPI; those of the texts are the
    # operator's own, so that the size of a status has a limit.
    f"{META}.Condition": Overlay(
        fields={
            "type": {**limits.label_key, "maxLength": WORD_LIMIT},
            "status": one_of("True", "False", "Unknown"),
            "reason": {
                "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                "maxLength": WORD_LIMIT,
            },
            "message": {"maxLength": TEXT_LIMIT},
            "lastTransitionTime": {"maxLength": 64},
            "observedGeneration": {"minimum": 0},
        }
    ),
    f"{CORE}.LocalObjectReference": Overlay(
        require=("name",), fields={"name": limits.dns_subdomain}
    ),
    f"{CORE}.ConfigMapKeySelector": Overlay(
        require=("name",), fields={"name": limits.dns_subdomain, "key": limits.config_key}
    ),
    f"{CORE}.SecretKeySelector": Overlay(
        require=("name",), fields={"name": limits.dns_subdomain, "key": limits.config_key}
    ),
    f"{CORE}.ConfigMapEnvSource": Overlay(require=("name",), fields={"name": limits.dns_subdomain}),
    f"{CORE}.SecretEnvSource": Overlay(require=("name",), fields={"name": limits.dns_subdomain}),
    f"{CORE}.ObjectFieldSelector": Overlay(fields={"apiVersion": one_of("v1")}),
    f"{CORE}.ResourceFieldSelector": Overlay(
        fields={
            "containerName": limits.dns_label,
            "resource": {
                "pattern": r"^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$",
                "maxLength": 64,
            },
            "divisor": {"pattern": "^(0|1m|1|1[kMGTPE]i?|1Ki)$", "minimum": 0, "maximum": 1},
        },
        rules=(
            Rule(
                cel="!has(self.divisor) || (self.resource.endsWith('.cpu')"
                " ? type(self.divisor) == int || self.divisor in ['0', '1', '1m']"
                " : self.divisor != '1m')",
                message="the divisor is 1 or 1m for cpu; for others 1, or one unit such as 1Mi",
                field_path=".divisor",
            ),
        ),
    ),
    f"{CORE}.EnvVarSource": Overlay(
        drop=LEFT_OUT_FIELDS["EnvVarSource"],
        fields={
            "fieldRef": Overlay(
                fields={
                    "fieldPath": {
                        "pattern": r"^(metadata\.(name|namespace|uid)"
                        r"|spec\.(nodeName|serviceAccountName)"
                        rf"|status\.(hostIPs?|podIPs?)|metadata\.(labels|annotations)\['{LABEL_KEY}'\])$",
                        "maxLength": 320,
                    }
                },
            )
        },
        rules=(
            exactly_one_field(
                ("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"),
                "write exactly one of configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef",
            ),
        ),
    ),
    f"{CORE}.EnvVar": Overlay(
        fields={
            "name": Overlay(
                keywords={"minLength": 1, "maxLength": 512},
                rules=(
                    Rule(
                        cel=f"self.matches('{limits.env_name['pattern']}')",
                        message="a variable's name is printable ASCII without '='",
                    ),
                ),
            )
        },
        rules=(
            Rule(
                cel="!has(self.valueFrom) || !has(self.value) || self.value == ''",
                message="write value or valueFrom, not both",
            ),
        ),
    ),
    f"{CORE}.EnvFromSource": Overlay(
        fields={"prefix": limits.env_prefix},
        rules=(
            exactly_one_field(
                ("configMapRef", "secretRef"), "write exactly one of configMapRef, secretRef"
            ),
        ),
    ),
}
