"""Hypothesis strategies for SelfHealingApps, from the schema of the CRD.

Fields, types, bounds and alternatives are read from crd/selfhealingapp.yaml, so a new field needs
no change here. An example can be drawn towards a path, so that a nested field is given as often as
one at the top. Only values whose form the schema does not limit (quantities, label keys) are drawn
from lists of realistic and unusual values. Most examples are repaired so that they obey the CEL
rules, because a refused example shows little; some are left invalid on purpose.
"""

import re
import string
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from hack.testkit.yaml_text import parse_yaml
from selfhealing.api.base import VALIDATIONS_KEY
from selfhealing.api.duration import DURATION_RULE
from tests.unit.api.spec_repair import ADDRESSES, Json, repair_spec

Schema = Mapping[str, Any]
Where = tuple[str, ...]

CRD = Path(__file__).parents[3] / "crd" / "selfhealingapp.yaml"

QUANTITIES = [
    "100m",
    "250m",
    "0.5",
    "1",
    "2",
    "64Mi",
    "128Mi",
    "1Gi",
    "1e3",
    "5e-1",
    ".5",
    "1.",
    "9E",
    "8Ei",
    "1e18",
    "1n",
    2**62,
    "0",
    "1k",
    "3.25Gi",
    0,
    1,
    4096,
]
RESOURCES = ["cpu", "memory", "ephemeral-storage", "example.com/gpu", "hugepages-2Mi", "storage"]
LABEL_KEYS = ["app", "tier", "example.com/team", "topology.kubernetes.io/zone", "a.b", "A_b.c"]
NAMES = ["web", "data", "log-shipper", "a", "x1", "tmp", "cache-0", "config"]
TEXTS = [
    "",
    "x",
    "value with spaces",
    "/var/lib/data",
    "$(POD_NAME)",
    "ü",
    "a=b",
    '{"a": 1}',
    "0",
    "true",
]
PATHS = ["a", "a/b", "conf.d/x.conf", "..a/b", "a/..b", ".hidden", "a//b", "data/"]
DURATIONS = ["0s", "90s", "10m", "1h30m", "1h", "0h0m1s", "9999h9999m99999s", "061s"]
PERCENT = ["0%", "1%", "25%", "100%", 0, 1, 3]

MAX_ITEMS = 3
"""The maximum number of list items, and of optional fields of an object below the spec."""


@cache
def spec_schema() -> Schema:
    """Return the schema of the spec."""
    crd = parse_yaml(CRD.read_text(encoding="utf-8"))
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def leaves(schema: Schema | None = None, path: Where = ()) -> list[Where]:
    """Return the path of every field of the spec that has no fields of its own."""
    schema = spec_schema() if schema is None else schema
    inner = schema.get("items", schema)
    if "properties" not in inner:
        return [path]
    return [
        leaf for name, field in inner["properties"].items() for leaf in leaves(field, (*path, name))
    ]


def specs(paths: st.SearchStrategy[Where] | None = None) -> st.SearchStrategy[Json]:
    """Generate specs that the schema allows, most of which the CEL rules allow as well.

    Args:
        paths: paths of fields, one of which is given in each example.
    """
    schema = spec_schema()
    if paths is None:
        drawn = _object(schema, (), most=8)
    else:
        drawn = paths.flatmap(lambda path: _object(schema, path, most=2))
    repair = st.sampled_from([True] * 9 + [False])
    return st.tuples(drawn, repair).map(lambda pair: repair_spec(pair[0]) if pair[1] else pair[0])


def values_of_schema(schema: Schema, name: str, path: Where = ()) -> st.SearchStrategy[Any]:
    """Generate values of the field ``name`` with this schema; the fields of ``path`` are given."""
    kind = schema.get("type")
    if "enum" in schema:
        drawn = st.sampled_from(schema["enum"])
    elif "x-kubernetes-int-or-string" in schema:
        drawn = _int_or_string(schema)
    elif kind == "object":
        drawn = _object(schema, path) if "properties" in schema else _map(schema, name)
    elif kind == "array":
        drawn = _array(schema, name, path)
    elif kind == "integer":
        drawn = _integer(schema)
    else:
        drawn = st.booleans() if kind == "boolean" else _string(schema, name)
    return drawn


def _rules(schema: Schema) -> list[str]:
    return [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]


def alternatives(schema: Schema) -> list[Json]:
    """Return the alternatives that the rules of an object allow: fields and their values."""
    for rule in _rules(schema):
        if rule.endswith(".exists_one(given, given)"):
            return [{field: None} for field in re.findall(r"has\(self\.(\w+)\)", rule)]
        pairs = re.findall(r"\(self\.type == '(\w+)'\) == has\(self\.(\w+)\)", rule)
        if pairs:
            allowed = schema["properties"]["type"]["enum"] if len(pairs) > 1 else ()
            named = [{"type": kind, field: None} for kind, field in pairs]
            if len(pairs) == 1:
                others = [k for k in schema["properties"]["type"]["enum"] if k != pairs[0][0]]
                return [*named, *({"type": kind} for kind in others)]
            return [choice for choice in named if choice["type"] in allowed]
    return []


@st.composite
def _object(draw: st.DrawFn, schema: Schema, path: Where = (), most: int = MAX_ITEMS) -> Json:
    properties = schema["properties"]
    towards = path[:1]
    choices = alternatives(schema)
    chosen_by_rules = {field for choice in choices for field in choice}
    fitting = [
        c for c in choices if not towards or towards[0] not in chosen_by_rules or towards[0] in c
    ]
    chosen = draw(st.sampled_from(fitting)) if fitting else {}
    required = [field for field in schema.get("required", ()) if field not in chosen_by_rules]
    optional = [field for field in properties if field not in {*chosen_by_rules, *required}]
    wanted = (
        draw(st.lists(st.sampled_from(optional), unique=True, max_size=most)) if optional else []
    )
    names = dict.fromkeys([*required, *wanted, *(f for f in towards if f not in chosen_by_rules)])
    fields = {**names, **chosen}

    def below(field: str) -> Where:
        return path[1:] if (field,) == towards else ()

    return {
        field: draw(values_of_schema(properties[field], field, below(field)))
        if value is None
        else value
        for field, value in fields.items()
    }


def _map(schema: Schema, name: str) -> st.SearchStrategy[Json]:
    if "additionalProperties" not in schema:
        return st.just({})
    keys = st.sampled_from(RESOURCES if name in {"requests", "limits"} else LABEL_KEYS)
    return st.dictionaries(
        keys, values_of_schema(schema["additionalProperties"], name), max_size=MAX_ITEMS
    )


def _array(schema: Schema, name: str, path: Where) -> st.SearchStrategy[list[Any]]:
    keys = schema.get("x-kubernetes-list-map-keys")
    items = schema["items"]
    defaults = {key: items["properties"][key].get("default") for key in keys or ()}

    def identity(item: Json) -> tuple[Any, ...]:
        return tuple(item.get(key, defaults[key]) for key in defaults)

    return st.lists(
        values_of_schema(items, name, path),
        min_size=max(schema.get("minItems", 0), 1 if path else 0),
        max_size=min(MAX_ITEMS, schema.get("maxItems", MAX_ITEMS)),
        unique_by=identity if keys else None,
    )


def _integer(schema: Schema) -> st.SearchStrategy[int]:
    low = schema.get("minimum", -(2**63))
    high = schema.get("maximum", 2**63 - 1)
    usual = [value for value in (low, low + 1, 1, 2, 5, 30, 80, 8080, high) if low <= value <= high]
    return st.one_of(st.sampled_from(usual), st.integers(min_value=low, max_value=high))


def _int_or_string(schema: Schema) -> st.SearchStrategy[int | str]:
    if "[a-z]" in schema["pattern"]:  # a port or its name
        return st.one_of(st.sampled_from(["http", "metrics", "a1"]), _integer(schema))
    if "%" in schema["pattern"]:
        return st.sampled_from(PERCENT)
    values = [
        value for value in [*QUANTITIES, "1m", "1Mi"] if re.search(schema["pattern"], str(value))
    ]
    return st.sampled_from(values)


def _string(schema: Schema, name: str) -> st.SearchStrategy[str]:
    known = {
        "name": NAMES,
        "image": ["nginx:1.29", "registry.example.com:5000/team/app:v2", "busybox"],
        "volumeName": NAMES,
        "path": [*PATHS, "/health", "/"],
        "mountPath": ["/data", "/var/lib/x", "relative", "/"],
        "subPath": PATHS,
        "subPathExpr": PATHS,
        "ip": ADDRESSES,
        "nameservers": ADDRESSES,
        "loadBalancerSourceRanges": ["10.0.0.0/8", "2001:db8::/32"],
        "cidr": ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"],
        "except": ["10.1.0.0/16"],
    }.get(name, TEXTS)
    if any(rule["message"] == DURATION_RULE.message for rule in schema.get(VALIDATIONS_KEY, ())):
        known = DURATIONS
    pattern = schema.get("pattern")
    low, high = schema.get("minLength", 0), schema.get("maxLength", 200)

    def fits(value: str) -> bool:
        return low <= len(value) <= high and (pattern is None or bool(re.search(pattern, value)))

    usual = [value for value in known if fits(value)]
    if pattern is None:
        if _rules(schema):
            return st.sampled_from(usual or NAMES)
        letters = st.text(string.printable, min_size=low, max_size=max(low, min(high, 12)))
        longest = st.just("x" * high)
        return st.one_of(*([st.sampled_from(usual)] if usual else []), letters, longest)
    exact = re.compile(pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern)
    drawn = st.from_regex(exact, alphabet=string.ascii_letters + string.digits + "-_./:%='[] ")
    shaped = drawn.filter(fits)
    return st.one_of(st.sampled_from(usual), shaped) if usual else shaped


def names() -> st.SearchStrategy[str]:
    """Generate names of resources, from the shortest to the longest."""
    return st.sampled_from(["made-up", "a", "x-1", "a" * 63, "a" + "-" * 61 + "z"])
