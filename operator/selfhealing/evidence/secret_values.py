"""Finds the end of the value behind the name of a secret, or that no secret is there."""

import re
from typing import Final

from selfhealing.api.linear_regex import Match
from selfhealing.evidence.secret_locators import Locator
from selfhealing.evidence.secret_names import is_secret_name, parse_words
from selfhealing.evidence.secret_syntax import MASK, SCHEMES

_IN_QUOTES: Final = re.compile(
    r"\\{1,7}\"(?:[^\\\"\n]|\\[^\"\n])*+(?:\\{1,7}\")?"  # JSON in a string of JSON
    r"|\"(?:[^\"\\\n]|\\.)*+\"?"
    r"|'(?:[^'\\\n]|\\.|'')*+'?"
)
"""A value up to its closing quote, or to the end of the line without one.

The standard library's engine, because it can match at a position of a long text without a copy.
Its quantifiers are possessive, so it never goes back.
"""
_IN_BRACKETS: Final = re.compile(r"\[[^\]\n]*+\]?|`[^`\n]*+`?")
"""A list, or a value in backquotes; a bare value may begin with these, too."""
_BARE: Final = re.compile(r"[^\s\"]++")
_IN_ELEMENT: Final = re.compile(r"[^<\n]++")
_TO_LINE_END: Final = re.compile(r"[^\n]++")
_SCHEME: Final = re.compile(rf"{SCHEMES}[ \t]++(?=\S)", re.IGNORECASE)
_REST: Final = re.compile(r"[^\s\"',;&)}\]<>/]*+")
"""What directly follows a value in quotes, or a mask."""
_BLOCK_INDICATOR: Final = re.compile(r"[|>][+-]?\d?[+-]?[ \t]*+(?:\n|\Z)")
_OBJECT: Final = re.compile(r"\{(?:[ \t}]|\\{0,7}[\"']|[\w.-]{1,64}+:[ \t])")
_TRIVIAL_VALUE: Final = re.compile(
    r"(?P<quote>[\"'`]?)[(<]?(?P<word>[\w.%-]{1,32}+)"
    r"(?P<behind>[\"'`]|(?=[\s,;&]|[)}\]>]{1,8}+(?:[\s,;&.:\"'`<]|\Z)|\Z))"
)
"""A word up to its closing quote or, without a quote, to a delimiter."""

_SHORT_NAMES: Final = frozenset(("auth", "otp", "pass", "pat", "pin", "psw", "pw"))
"""Names that are words of prose, too: in "tests: pass: 12" it is no field."""

_TRIVIAL_WORDS: Final = parse_words(
    """
    true false null none nil undefined unset set empty yes no on off ok valid invalid expired
    missing required denied failed unknown accepted rejected changed unauthorized forbidden
    mismatch unexpected cannot could not is was has must the a an in for of to and or with from by
    at error authentication authorization string required. token password secret key bearer basic
    """
)
"""Words of prose behind the name of a secret, which are no secrets."""


def names_secret(text: str, match: Match) -> bool:
    """Whether the place that a locator has found has the name of a secret, or none is needed."""
    name = next(iter(match.groups()), None)
    if name is None:
        return True
    if name.lower() in _SHORT_NAMES and text.startswith(":", match.end(1)):
        return name.islower() and _begins_line(text, match)
    if name.lower().endswith("tokens"):  # else a count
        return text.startswith(("[", '"'), match.end())
    return is_secret_name(name)


def find_value_end(text: str, match: Match, locator: Locator) -> int:
    """Find the end of the value behind ``match``; its start, if nothing there is a secret."""
    start = match.end()
    if text.startswith(MASK, start):
        return _skip_rest(text, start + len(MASK))
    if locator.is_element:
        element = _IN_ELEMENT.match(text, start)
        return element.end() if element and element[0].strip() else start
    scheme = _SCHEME.match(text, start)
    position = scheme.end() if scheme else start
    takes_line = locator.takes_line and text[start - 1] in " \t" and _begins_line(text, match)
    if scheme is None and _is_no_value(text, position, takes_line=takes_line):
        return start
    bare = _TO_LINE_END if takes_line else _BARE
    if quoted := _IN_QUOTES.match(text, position):
        return _skip_rest(text, quoted.end())
    brackets, value = _IN_BRACKETS.match(text, position), bare.match(text, position)
    end = max((found.end() for found in (brackets, value) if found), default=start)
    return _skip_rest(text, end) if brackets else end


def _skip_rest(text: str, position: int) -> int:
    rest = _REST.match(text, position)
    return rest.end() if rest else position


def _is_no_value(text: str, position: int, *, takes_line: bool) -> bool:
    """Whether there is an object or a block, whose parts are looked at, or a word of prose."""
    if _OBJECT.match(text, position) or _BLOCK_INDICATOR.match(text, position):
        return True
    trivial = _TRIVIAL_VALUE.match(text, position)
    return (
        trivial is not None
        and trivial["quote"] == trivial["behind"]
        and trivial["word"].lower() in _TRIVIAL_WORDS
        and not (takes_line and text.startswith(" ", trivial.end()))
    )


def _begins_line(text: str, match: Match) -> bool:
    """Whether only an indentation is before ``match``, or the dash of a list."""
    position = match.start() - 1
    while position >= 0 and text[position] in " \t-":
        position -= 1
    return position < 0 or text[position] == "\n"
