"""Matches labels with a LabelSelector of meta/v1, as far as it can be read."""

from collections.abc import Mapping
from typing import Any


def selects_labels(selector: Any, labels: Mapping[str, Any]) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a selector selects an object with these labels; an empty one selects all.

    What is no selector selects nothing, nor does one with an unknown operator.
    """
    if not isinstance(selector, Mapping):
        return False
    chosen, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    if not isinstance(chosen, Mapping) or not isinstance(expressions, list | tuple):
        return False
    return all(labels.get(key) == value for key, value in chosen.items()) and all(
        isinstance(expression, Mapping) and _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, values = str(expression.get("key")), expression.get("values")
    is_listed = labels.get(key) in (values if isinstance(values, list | tuple) else ())
    return {
        "In": is_listed,
        "NotIn": not is_listed,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(expression.get("operator")), False)
