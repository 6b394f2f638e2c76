"""Overlays of the Deployment's update strategy."""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.limits import one_of
from selfhealing.crdgen.schema.overlay import Overlay

V1: Final = "io.k8s.api.apps.v1"

OVERLAYS: Final = {
    f"{V1}.DeploymentStrategy": Overlay(
        fields={"type": one_of("Recreate", "RollingUpdate")},
        rules=(
            Rule(
                cel="!(has(self.type) && self.type == 'Recreate' && has(self.rollingUpdate))",
                message="Recreate stops every pod first and has no settings:"
                " remove rollingUpdate, or write type: RollingUpdate",
                field_path=".rollingUpdate",
                reason="FieldValueForbidden",
            ),
        ),
    ),
    f"{V1}.RollingUpdateDeployment": Overlay(
        fields={
            "maxSurge": {"minimum": 0, "pattern": "^(0|[1-9][0-9]{0,4})%$", "maxLength": 6},
            "maxUnavailable": {"minimum": 0, "pattern": "^(0|[1-9][0-9]?|100)%$", "maxLength": 4},
        },
        rules=(
            Rule(
                cel="!(has(self.maxSurge) && (self.maxSurge == 0 || self.maxSurge == '0%')"
                " && has(self.maxUnavailable)"
                " && (self.maxUnavailable == 0 || self.maxUnavailable == '0%'))",
                message="with maxSurge 0 and maxUnavailable 0 no pod could ever be replaced:"
                " raise one of them",
            ),
        ),
    ),
}
