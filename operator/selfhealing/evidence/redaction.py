"""Masks everything in a text that may be a secret, before the text is stored or said.

The evidence is in a ConfigMap, which more people can read than the app's Secrets, and which lives
longer than the app's logs. So in doubt a word is masked; a text without anything like a secret is
not changed. Values that are known to be secret are masked first (known_values), then what looks
like one. Patterns are best effort: a secret in no known form stays.

The work is linear in the length of the text (tests/unit/test_linear_regexes.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from selfhealing.api.linear_regex import Match
from selfhealing.api.text import clean_line, clean_text
from selfhealing.evidence.secret_blocks import mask_blocks
from selfhealing.evidence.secret_forms import FORMS, Form
from selfhealing.evidence.secret_locators import LOCATORS, Locator
from selfhealing.evidence.secret_syntax import MASK
from selfhealing.evidence.secret_values import find_value_end, names_secret

Checkpoint = Callable[[], None]
"""Called between two passes over a text; it raises an error when the time is over."""

_MESSAGE_CACHE: Final = 2048
"""Messages whose masked text is kept: the same ones are said again at each reconcile."""
_MAX_CACHED: Final = 1024
"""Characters of the longest message that is kept."""
MAX_RAW_MESSAGE: Final = 4096
"""Characters of a message that are looked at: as many as the kubelet reads of a termination message
(MaxContainerTerminationMessageLength, Kubernetes 1.36)."""


def _no_deadline() -> None:
    pass


def redact(text: str, known_values: Sequence[str] = (), check: Checkpoint = _no_deadline) -> str:
    """Mask everything in ``text`` that is known to be secret or looks like a secret.

    The text must be clean (``clean_text``) and complete: a text that was cut before may begin
    inside a secret.

    Args:
        text: the text.
        known_values: secret values, the longest first.
        check: is called between the passes; its errors end the work.
    """
    for value in known_values:
        text = text.replace(value, MASK)
    check()
    text = mask_blocks(text)
    for locator in LOCATORS:
        check()
        text = _mask_located(text, locator)
    for form in FORMS:
        check()
        text = _mask_form(text, form)
    return text


def redact_message(message: str, known_values: Sequence[str] = ()) -> str:
    """Put a message of the cluster in one clean line and mask what may be a secret.

    Args:
        message: at most some thousand characters.
        known_values: secret values, the longest first.
    """
    for value in known_values:
        message = message.replace(value, MASK)
    if len(message) > _MAX_CACHED:
        return redact(clean_line(message))
    return _redact_message(message)


@lru_cache(_MESSAGE_CACHE)
def _redact_message(message: str) -> str:
    return redact(clean_line(message))


@dataclass(frozen=True, slots=True)
class Redactor:
    """Redacts the parts of one text with the same known values, until a deadline.

    Attributes:
        known_values: secret values, the longest first.
        check: is called between the passes; its errors end the work.
    """

    known_values: Sequence[str] = ()
    check: Checkpoint = _no_deadline

    def redact(self, text: str) -> str:
        """Redact a clean text of several lines."""
        return redact(text, self.known_values, self.check)

    def redact_line(self, message: str) -> str:
        """Redact a message and put it in one line.

        Of one that is longer than MAX_RAW_MESSAGE the rest is left out first, from a blank on, as a
        part of a secret could not be recognised.
        """
        if len(message) > MAX_RAW_MESSAGE:
            message = message[:MAX_RAW_MESSAGE].rpartition(" ")[0] + " …"
        self.check()
        return " ".join(redact_message(message, self.known_values).split())


PATTERNS_ONLY: Final = Redactor()
"""Knows no values and has no deadline."""


def strip_control_characters(text: str) -> str:
    """Clean a text of several lines and remove trailing blanks; tabs become blanks.

    kubectl then prints the text as a block.
    """
    return "\n".join(line.rstrip() for line in clean_text(text).expandtabs(4).split("\n"))


def _mask_located(text: str, locator: Locator) -> str:
    """Mask the values behind the places that ``locator`` finds.

    Each value is looked at once: a place within a value that was found to be no secret has only the
    end of that value behind it.
    """
    pieces: list[str] = []
    kept_to = seen_to = 0
    for match in locator.regex.finditer(text):
        start = match.end()
        if start < seen_to or not names_secret(text, match):
            continue
        end = find_value_end(text, match, locator)
        if end <= start:
            continue
        seen_to = end
        if locator.is_secret is None or locator.is_secret(text[start:end]):
            pieces += (text[kept_to:start], MASK)
            kept_to = end
    return "".join((*pieces, text[kept_to:])) if pieces else text


def _mask_form(text: str, form: Form) -> str:
    def mask(match: Match) -> str:
        groups = match.groupdict()
        kept, tail = groups.get("kept") or "", groups.get("tail") or ""
        secret = match[0].removeprefix(kept).removesuffix(tail)
        if form.is_secret is not None and not form.is_secret(secret):
            return match[0]
        return f"{kept}{MASK}{tail}"

    return form.regex.sub(mask, text)
