"""Compares two outputs without what differs from run to run. Pure.

Names of pods, ages, addresses, ports and times differ in every run. A page is rewritten only when
something else differs, so that a changed page means changed behaviour.
"""

import re

_NAME_ALPHABET = "[bcdfghjklmnpqrstvwxz2456789]"
"""The characters of random suffixes of Kubernetes names; there are no vowels."""

_RANDOM_SUFFIX = re.compile(rf"-{_NAME_ALPHABET}{{5,10}}(-{_NAME_ALPHABET}{{5}})?\b")

_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UID"),
    (_RANDOM_SUFFIX, "-HASH"),
    (re.compile(r"\b(\d+[dhms]){1,3}\b"), "AGE"),
    (re.compile(r"\b\d+:\d{4,5}/TCP"), "PORTS"),
    (re.compile(r"\d+"), "N"),
    (re.compile(r"[ \t]+"), " "),
)


def normalize_output(text: str) -> tuple[str, ...]:
    """Return the lines of an output with numbers and random parts replaced."""
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return tuple(line.rstrip() for line in text.strip().splitlines())


def mask_random_suffixes(text: str) -> str:
    """Return a text with an ellipsis instead of the random end of each name of a pod."""
    return _RANDOM_SUFFIX.sub("-…", text)


def has_same_content(old: str, new: str) -> bool:
    """Return whether two outputs are equal after normalization."""
    return normalize_output(old) == normalize_output(new)


def has_same_heading(old: str, new: str) -> bool:
    """Return whether two outputs begin with the same table head or the same first words."""
    first, second = normalize_output(old)[:1], normalize_output(new)[:1]
    return [line.split()[:2] for line in first] == [line.split()[:2] for line in second]
