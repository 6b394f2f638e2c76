"""Overlays of scheduling: tolerations, affinity, topology spread."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.limits import max_items, one_of
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.schema.overlay import Overlay

WEIGHT: Final = {"minimum": 1, "maximum": 100}
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
POD_AFFINITY_TERMS: Final = Overlay(fields={PREFERRED: max_items(16), REQUIRED: max_items(16)})
LABEL_KEYS: Final = Overlay(keywords=max_items(8), items=limits.label_key)

MATCH_LABEL_KEYS: Final = Rule(
    cel="!has(self.matchLabelKeys) || self.matchLabelKeys.size() == 0 || (has(self.labelSelector)"
    " && self.matchLabelKeys.all(key, !(has(self.labelSelector.matchLabels)"
    " && key in self.labelSelector.matchLabels) && !(has(self.labelSelector.matchExpressions)"
    " && self.labelSelector.matchExpressions.exists(e, e.key == key))))",
    message="matchLabelKeys adds to labelSelector: write labelSelector, without these keys",
    field_path=".matchLabelKeys",
)

OVERLAYS: Final = {
    f"{CORE}.Toleration": Overlay(
        fields={
            "key": {"pattern": f"^({limits.LABEL_KEY_PATTERN[1:-1]})?$", "maxLength": 253},
            "operator": one_of("", "Equal", "Exists"),  # Lt and Gt are behind a feature gate
            "value": limits.label_value,
            "effect": one_of("", "NoExecute", "NoSchedule", "PreferNoSchedule"),
        },
        rules=(
            Rule(
                cel="(has(self.key) && self.key != '')"
                " || (has(self.operator) && self.operator == 'Exists')",
                message="without a key write operator: Exists, which tolerates every taint",
                field_path=".operator",
            ),
            Rule(
                cel="!(has(self.operator) && self.operator == 'Exists')"
                " || !has(self.value) || self.value == ''",
                message="Exists compares no value: remove value, or write operator: Equal",
                field_path=".value",
            ),
            Rule(
                cel="!has(self.tolerationSeconds)"
                " || (has(self.effect) && self.effect == 'NoExecute')",
                message="tolerationSeconds needs effect: NoExecute",
                field_path=".effect",
            ),
        ),
    ),
    f"{CORE}.PodAffinity": POD_AFFINITY_TERMS,
    f"{CORE}.PodAntiAffinity": POD_AFFINITY_TERMS,
    f"{CORE}.NodeAffinity": Overlay(fields={PREFERRED: max_items(16)}),
    f"{CORE}.NodeSelector": Overlay(fields={"nodeSelectorTerms": max_items(16, minItems=1)}),
    f"{CORE}.PreferredSchedulingTerm": Overlay(fields={"weight": WEIGHT}),
    f"{CORE}.WeightedPodAffinityTerm": Overlay(fields={"weight": WEIGHT}),
    f"{CORE}.NodeSelectorTerm": Overlay(
        fields={
            "matchExpressions": max_items(16),
            "matchFields": Overlay(
                keywords=max_items(4),
                items=Overlay(
                    fields={
                        "key": one_of("metadata.name"),
                        "operator": one_of("In", "NotIn"),
                        "values": Overlay(items=limits.dns_subdomain),
                    },
                    rules=(
                        Rule(
                            cel="has(self.values) && self.values.size() == 1",
                            message="a field has one value: write the node's name",
                        ),
                    ),
                ),
            ),
        }
    ),
    f"{CORE}.NodeSelectorRequirement": Overlay(
        fields={
            "key": limits.label_key,
            "operator": one_of("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
            "values": Overlay(keywords=max_items(32), items=limits.label_value),
        },
        rules=(
            Rule(
                cel="self.operator in ['Exists', 'DoesNotExist']"
                " ? !has(self.values) || self.values.size() == 0"
                " : has(self.values) && (self.operator in ['In', 'NotIn']"
                " ? self.values.size() > 0 : self.values.size() == 1)",
                message="In and NotIn need values, Gt and Lt exactly one;"
                " Exists and DoesNotExist have none",
                field_path=".values",
            ),
        ),
    ),
    f"{CORE}.PodAffinityTerm": Overlay(
        fields={
            "topologyKey": limits.label_key,
            "namespaces": Overlay(keywords=max_items(32), items=limits.dns_label),
            "matchLabelKeys": LABEL_KEYS,
            "mismatchLabelKeys": LABEL_KEYS,
        },
        rules=(
            MATCH_LABEL_KEYS,
            Rule(
                cel="!has(self.mismatchLabelKeys) || self.mismatchLabelKeys.size() == 0"
                " || (has(self.labelSelector) && !(has(self.matchLabelKeys)"
                " && self.mismatchLabelKeys.exists(key, key in self.matchLabelKeys)))",
                message="mismatchLabelKeys adds to labelSelector:"
                " write labelSelector, and no key that is in matchLabelKeys",
                field_path=".mismatchLabelKeys",
            ),
        ),
    ),
    f"{CORE}.TopologySpreadConstraint": Overlay(
        fields={
            "maxSkew": {"minimum": 1},
            "minDomains": {"minimum": 1},
            "topologyKey": limits.label_key,
            "whenUnsatisfiable": one_of("DoNotSchedule", "ScheduleAnyway"),
            "nodeAffinityPolicy": one_of("Honor", "Ignore"),
            "nodeTaintsPolicy": one_of("Honor", "Ignore"),
            "matchLabelKeys": LABEL_KEYS,
        },
        rules=(
            MATCH_LABEL_KEYS,
            Rule(
                cel="!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
                message="minDomains needs whenUnsatisfiable: DoNotSchedule",
                field_path=".minDomains",
            ),
        ),
    ),
}
