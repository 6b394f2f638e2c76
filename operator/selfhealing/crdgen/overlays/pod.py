"""Overlays of the pod's own fields: names, DNS, resource claims, readiness gates."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.limits import exactly_one_field, max_items
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.schema.overlay import Overlay

IP_ADDRESS: Final = Overlay(
    keywords={"maxLength": 45},
    rules=(Rule(cel="isIP(self)", message="write an IP address, such as 10.0.0.10"),),
)

OVERLAYS: Final = {
    f"{CORE}.PodSpec": Overlay(
        drop=LEFT_OUT_FIELDS["PodSpec"],
        fields={
            "imagePullSecrets": max_items(16),
            "tolerations": max_items(32),
            "topologySpreadConstraints": max_items(8),
            "volumes": max_items(32),
            "hostAliases": max_items(32),
            "readinessGates": max_items(16),
            "resourceClaims": max_items(16),
        },
    ),
    f"{CORE}.PodDNSConfig": Overlay(
        fields={
            "nameservers": Overlay(keywords=max_items(3), items=IP_ADDRESS),
            "searches": Overlay(
                keywords=max_items(32),
                items={
                    # The root domain, or a subdomain with underscores and a dot at its end.
                    "pattern": r"^(\.|_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
                    r"(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*\.?)$",
                    "maxLength": 253,
                },
                rules=(
                    Rule(
                        cel="self.map(domain, domain.size() + 1).sum() <= 2049",
                        message="the search domains have at most 2048 characters together",
                    ),
                ),
            ),
            "options": max_items(16),
        },
    ),
    f"{CORE}.PodDNSConfigOption": Overlay(require=("name",), fields={"name": limits.non_empty}),
    f"{CORE}.HostAlias": Overlay(
        fields={
            "ip": IP_ADDRESS,
            "hostnames": Overlay(keywords=max_items(32), items=limits.dns_subdomain),
        }
    ),
    f"{CORE}.PodReadinessGate": Overlay(fields={"conditionType": limits.qualified_name}),
    f"{CORE}.PodResourceClaim": Overlay(
        fields={
            "name": limits.dns_label,
            "resourceClaimName": limits.dns_subdomain,
            "resourceClaimTemplateName": limits.dns_subdomain,
        },
        rules=(
            exactly_one_field(
                ("resourceClaimName", "resourceClaimTemplateName"),
                "write exactly one of resourceClaimName, resourceClaimTemplateName",
            ),
        ),
    ),
    f"{CORE}.ResourceClaim": Overlay(
        fields={"name": limits.dns_label, "request": limits.dns_label}
    ),
}
