"""Finds the values of an app that are masked wherever they stand, whatever is around them.

These are the literal values of environment variables in its pod spec and the data of the Secrets
that it reads. Public values are left out, so that the text stays useful.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from selfhealing.api.linear_regex import compile_pattern
from selfhealing.evidence.secret_names import is_secret_name, parse_words
from selfhealing.evidence.secret_syntax import MASK

Json = Mapping[str, Any]

MIN_LENGTH: Final = 6
"""Characters. A shorter value stands in many words by chance."""
MAX_VALUES: Final = 256
"""The most values, and MAX_LENGTH the longest, that are looked for."""
MAX_LENGTH: Final = 8192

_PUBLIC: Final = compile_pattern(
    r"(?i)[+-]?[0-9][0-9.,]*(?:[a-z%]{0,3})"  # numbers, quantities, durations, sizes
    r"|/[\w./-]*"  # paths
    r"|(?:[a-z][a-z0-9+.-]*://)?(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*(?::\d{1,5})?/?"  # hosts
    r"|(?:[a-z][a-z0-9+.-]*://)(?:[a-z0-9-]+|\[[0-9a-f:]+\])(?::\d{1,5})?/?"
    r"|[a-z]{2}[_-][a-z]{2}(?:\.utf-?8)?"  # locales
    r"|-x(?:m[sxn]|ss)\d+[kmg]"  # the memory of a Java machine
)
"""Whole values that are no secrets, unless their name says so."""
_COMMON_WORDS: Final = parse_words(
    """
    always default debug develop development disable disabled enable enabled error errors example
    false header info json local localhost logging master metrics never none notice null
    plain postgres prefer primary prod production public release replica require required root
    server service staging strict string trace true unlimited verbose verify warning yes
    """
)


def find_env_values(pod_spec: Json, public: Collection[str] = ()) -> Iterator[str]:
    """Find the literal values of the variables of all containers that may be secrets.

    Args:
        pod_spec: a pod's spec; foreign fields may be missing.
        public: values that are shown anyway, such as the name of the app.
    """
    containers = [
        container
        for field in ("containers", "initContainers")
        for container in pod_spec.get(field) or ()
    ]
    shown = {*public, *(container.get("image") or "" for container in containers)}
    for container in containers:
        for variable in container.get("env") or ():
            value = variable.get("value") or ""
            if value not in shown and not _is_public(variable.get("name") or "", value):
                yield value


def _is_public(name: str, value: str) -> bool:
    if is_secret_name(name):
        return False
    return value.lower() in _COMMON_WORDS or _PUBLIC.fullmatch(value) is not None


def find_secret_values(secret: Json) -> Iterator[str]:
    """Find the values in the data of a Secret that are text."""
    for encoded in (secret.get("data") or {}).values():
        try:
            yield b64decode(encoded).decode()
        except ValueError:  # binary data
            yield str(encoded)


def build_known_values(values: Iterable[str]) -> tuple[str, ...]:
    """Build the texts to look for, the longest first: each value in the forms that apps print.

    These are the value itself, in base64, in JSON and in a URL, and each line of a value of several
    lines. Values that are too short or too long, and those beyond the first MAX_VALUES, are left
    to the patterns.
    """
    found: dict[str, None] = {}
    for value in values:
        if len(found) >= MAX_VALUES:
            break
        if len(value) <= MAX_LENGTH:
            found.update(dict.fromkeys((value, *value.splitlines())))
    forms = {
        form
        for value in found
        if len(value.strip()) >= MIN_LENGTH
        for form in _forms_of(value.strip())
        if form not in MASK  # a mask would be masked again and again
    }
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _forms_of(value: str) -> Iterator[str]:
    yield value
    encoded = b64encode(value.encode(errors="replace")).decode()
    yield encoded.rstrip("=")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="", errors="replace")
