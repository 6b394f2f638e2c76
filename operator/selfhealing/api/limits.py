"""The limits of names, paths and quantities in Kubernetes, as keywords of a JSON schema.

The patterns are RE2, and those of k8s.io/apimachinery/pkg/util/validation.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from selfhealing.api.base import Rule

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_NAME: Final = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PATH_SEGMENT: Final = r"([^/.][^/]*|\.([^/.][^/]*)?|\.\.[^/]+)?"
_FIRST_PATH_SEGMENT: Final = r"([^/.][^/]*|\.([^/.][^/]*)?)"

LABEL_KEY_PATTERN: Final = rf"^({_SUBDOMAIN}/)?{_NAME}$"
LABEL_VALUE_PATTERN: Final = rf"^({_NAME})?$"
RESOURCE_DOMAIN_PATTERN: Final = rf"^{_SUBDOMAIN}/{_NAME}$"
QUANTITY_PATTERN: Final = (
    r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|[eE]-?[0-9]{1,2})?$"
)

Keywords = Mapping[str, Any]

dns_label: Final[Keywords] = {"pattern": f"^{_LABEL}$", "maxLength": 63}
dns_subdomain: Final[Keywords] = {"pattern": f"^{_SUBDOMAIN}$", "maxLength": 253}
dns_subdomain_or_empty: Final[Keywords] = {"pattern": f"^({_SUBDOMAIN})?$", "maxLength": 253}
host_name: Final[Keywords] = {**dns_subdomain, "maxLength": 64}
"""A host name of Linux."""

dns_name: Final[Keywords] = {"pattern": rf"^(\*\.)?{_SUBDOMAIN}$", "maxLength": 253}
"""A DNS name, whose first label may be "*"."""

absolute_path: Final[Keywords] = {"pattern": "^/", "maxLength": 1024}
label_key: Final[Keywords] = {"pattern": LABEL_KEY_PATTERN, "maxLength": 253}
qualified_name: Final[Keywords] = {"pattern": LABEL_KEY_PATTERN, "maxLength": 316}
label_value: Final[Keywords] = {"pattern": LABEL_VALUE_PATTERN, "maxLength": 63}
port_name: Final[Keywords] = {
    "pattern": "^([0-9]+-)*[0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    "maxLength": 15,
}
"""An IANA service name, which has at least one letter."""

port: Final[Keywords] = {"minimum": 1, "maximum": 65535}
port_or_name: Final[Keywords] = {**port, **port_name}
config_key: Final[Keywords] = {
    "pattern": r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$",
    "maxLength": 253,
}
"""A key of a ConfigMap or Secret."""

env_name: Final[Keywords] = {"pattern": "^[ -<>-~]+$", "maxLength": 512}
env_prefix: Final[Keywords] = {"pattern": "^[ -<>-~]*$", "maxLength": 512}
relative_path: Final[Keywords] = {
    "pattern": f"^{_FIRST_PATH_SEGMENT}(/{_PATH_SEGMENT})*$",
    "maxLength": 1024,
}
"""A path below its root: not absolute, without "..", and no first segment that begins with ".."."""

relative_path_or_empty: Final[Keywords] = {
    "pattern": rf"^(({_FIRST_PATH_SEGMENT}|\.\.[^/]+)(/{_PATH_SEGMENT})*)?$",
    "maxLength": 1024,
}
"""As ``relative_path``, but it may be empty, and its first segment may begin with ".."."""

path_without_dot_dot: Final[Keywords] = {
    "pattern": f"^/?{_PATH_SEGMENT}(/{_PATH_SEGMENT})*$",
    "maxLength": 1024,
    "minLength": 1,
}
"""A path without the segment ".."."""

file_mode: Final[Keywords] = {"minimum": 0, "maximum": 0o777}
non_empty: Final[Keywords] = {"minLength": 1}
user_id: Final[Keywords] = {"minimum": 0, "maximum": 2**31 - 1}
quantity: Final[Keywords] = {"pattern": QUANTITY_PATTERN, "maxLength": 24, "minimum": 0}
"""A quantity that is not negative; none of the CRD's fields may be negative."""


def max_items(count: int, **keywords: Any) -> Keywords:  # noqa: ANN401 - keywords of a JSON schema
    """Limit the length of a list, from which the API server estimates the cost of CEL rules."""
    return {"maxItems": count, **keywords}


def one_of(*values: str) -> Keywords:
    """Limit a string to some values."""
    return {"enum": list(values)}


def exactly_one_field(fields: Iterable[str], message: str) -> Rule:
    """Return the rule that exactly one of the fields is given."""
    presence_checks = ", ".join(f"has(self.{name})" for name in fields)
    return Rule(cel=f"[{presence_checks}].exists_one(given, given)", message=message)


LABEL_KEYS_RULE: Final = Rule(
    cel=f"self.all(key, key.size() <= 253 && key.matches(r'{LABEL_KEY_PATTERN}'))",
    message="a label's key is [DOMAIN/]NAME, of letters, digits, '-', '_' and '.',"
    " such as app or example.com/team",
)
"""The rule for a map whose keys are label keys; a schema has no pattern for the keys of a map."""
