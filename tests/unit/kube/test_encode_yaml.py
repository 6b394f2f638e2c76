"""The bodies of server-side apply are YAML in UTF-8, whatever text is in them."""

import json
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import example, given, strategies as st

from hack.testkit.yaml_text import parse_yaml
from selfhealing.kube.yaml_body import encode_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    TEXTS | st.booleans() | st.none() | st.integers(-(2**53), 2**53),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
@example({"value": "hi 🔥"})
@example({"value": "a\u0085b\u2028c\u2029d"})
@example({"value": "\ufeff\ufffe\uffff\x7f\x9f\x00"})
def test_every_body_is_read_as_it_was(body: dict[str, Any]) -> None:
    """By a reader of YAML 1.1, as the API server has one, and by a reader of JSON."""
    encoded = encode_yaml(body)

    assert body == parse_yaml(encoded)
    assert body == orjson.loads(encoded)


def test_the_escapes_of_the_standard_library_are_no_yaml() -> None:
    """It writes an emoji as two halves, of which YAML knows nothing."""
    body = {"value": "hi 🔥"}

    with pytest.raises(yaml.YAMLError, match="invalid Unicode character escape code"):
        parse_yaml(json.dumps(body))
