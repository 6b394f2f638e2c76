"""The CEL rules of the spec about access to the app from outside."""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.names import PORT_NAME

INGRESS_PATH: Final = Rule(
    cel="(has(self.pathType) && self.pathType == 'ImplementationSpecific') || !has(self.path)"
    ' || (self.path.matches(r"^/([-A-Za-z0-9/._~!$&\'()*+,;=:@]|%[0-9a-fA-F]{2})*$")'
    " && !self.path.matches('//|/[.][.]?(/|$)|%2[fF]'))",
    message="write an absolute path without //, /./, /../ and %2F, such as /shop; a pattern of your"
    " ingress controller needs pathType: ImplementationSpecific",
    field_path=".path",
)
"""As validateHTTPIngressPath in pkg/apis/networking/validation, with the characters of a path by
RFC 3986, which Gateway API asks for, too."""

ONE_INGRESS_CLASS: Final = Rule(
    cel="!has(self.className) || !has(self.annotations)"
    " || !('kubernetes.io/ingress.class' in self.annotations)",
    message="className and the annotation kubernetes.io/ingress.class say the same:"
    " remove the annotation",
    field_path=".annotations",
    reason="FieldValueForbidden",
)


def _needs_service(field: str, child: str) -> Rule:
    """Return the rule that a field whose child leads to the Service names a port of it."""
    port = f"self.{field}.port"
    exposed = "has(self.ports) && self.ports.exists(p, p.expose && p.protocol == 'TCP'"
    return Rule(
        cel=f"!has(self.{field}) || ((!has(self.service) || !has(self.service.enabled)"
        " || self.service.enabled)"
        f" && (has({port}) ? ({port} == '{PORT_NAME}' && has(self.port))"
        f" || ({exposed} && p.name == {port})) : has(self.port) || ({exposed}))))",
        message=f"{child} leads to a port of the app's Service: write port, or under ports one of"
        f" TCP whose name is in {field}.port, if that is given; without expose: false and"
        f" service.enabled: false; or remove {field}",
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


ACCESS_RULES: Final = (_needs_service("ingress", "an Ingress"),)
"""The rules of the whole spec about access from outside."""
