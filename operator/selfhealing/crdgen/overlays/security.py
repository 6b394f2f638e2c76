"""Overlays of the security contexts of pods and containers."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.limits import max_items, one_of
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.schema.overlay import Overlay

LOCALHOST_PROFILE: Final = Rule(
    cel="(self.type == 'Localhost') == has(self.localhostProfile)",
    message="type: Localhost needs localhostProfile, and only it has one",
)
PROFILE_TYPE: Final = one_of("Localhost", "RuntimeDefault", "Unconfined")

OVERLAYS: Final = {
    f"{CORE}.SeccompProfile": Overlay(
        fields={"type": PROFILE_TYPE, "localhostProfile": limits.relative_path_or_empty},
        rules=(LOCALHOST_PROFILE,),
    ),
    f"{CORE}.AppArmorProfile": Overlay(
        fields={
            "type": PROFILE_TYPE,
            "localhostProfile": {"pattern": r"^\S(.*\S)?$", "maxLength": 4095},
        },
        rules=(LOCALHOST_PROFILE,),
    ),
    f"{CORE}.Capabilities": Overlay(
        fields={
            "add": Overlay(keywords=max_items(64), items={"maxLength": 64}),
            "drop": Overlay(keywords=max_items(64), items={"maxLength": 64}),
        }
    ),
    f"{CORE}.Sysctl": Overlay(
        fields={
            "name": {
                "pattern": r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
                "maxLength": 253,
            }
        }
    ),
    f"{CORE}.SecurityContext": Overlay(
        drop=LEFT_OUT_FIELDS["SecurityContext"],
        fields={"runAsUser": limits.user_id, "runAsGroup": limits.user_id},
        rules=(
            Rule(
                cel="!has(self.allowPrivilegeEscalation) || self.allowPrivilegeEscalation"
                " || !((has(self.privileged) && self.privileged)"
                " || (has(self.capabilities) && has(self.capabilities.add)"
                " && 'CAP_SYS_ADMIN' in self.capabilities.add))",
                message="a privileged container, or one with CAP_SYS_ADMIN, can always escalate:"
                " remove allowPrivilegeEscalation: false, or the privilege",
                field_path=".allowPrivilegeEscalation",
            ),
        ),
    ),
    f"{CORE}.PodSecurityContext": Overlay(
        drop=LEFT_OUT_FIELDS["PodSecurityContext"],
        fields={
            "runAsUser": limits.user_id,
            "runAsGroup": limits.user_id,
            "fsGroup": limits.user_id,
            "supplementalGroups": Overlay(keywords=max_items(64), items=limits.user_id),
            "fsGroupChangePolicy": one_of("Always", "OnRootMismatch"),
            "supplementalGroupsPolicy": one_of("Merge", "Strict"),
            "seLinuxChangePolicy": one_of("Recursive"),  # MountOption is behind a feature gate
            "sysctls": max_items(
                64, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
            ),
        },
    ),
}
