"""Redacts everything in a text that may be a secret, before the text is stored.

The evidence is in a ConfigMap, which more people can read than the app's Secrets, and which lives
longer than the app's logs. So in doubt a word is redacted; a text without anything like a secret is
not changed.

The patterns take bounded time on any input: their lookaheads have a limited length.
"""

import re
from typing import Final, NamedTuple

MASK: Final = "<redacted>"

_CONTROL_CHARACTERS: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # terminal colours and cursor movements
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # terminal titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]"
)
"""Characters that would split a secret's name, cannot be stored, or make kubectl print one line."""

_SECRET_FIELD: Final = (
    r"(?:passw(?:or)?d|passphrase|pwd|_pass|\bpass(?==)|secret|token|credentials?"  # noqa: S105 - a pattern
    r"|(?:api|access|account|auth|encryption|license|master|private|secret|shared|signing"
    r"|storage)[-_ ]?key(?:[-_ ]?id)?|session[-_]?id|signature|\bsig)"
)
"""The name of a field that holds a secret, with any prefix, as in DB_PASSWORD."""
_SEPARATOR: Final = r"[\"']?(?:\\[\"'])?[ \t]*(?::=|=>|=|:)[ \t]*"
_SCHEME: Final = r"(?:basic|bearer|digest|token|apikey|hmac|negotiate|ntlm|aws4-hmac-sha256)"
_NOT_TRIVIAL: Final = r"(?!(?:true|false|null|none|nil)(?![^\s\"',;&)}\]]))"
_VALUE: Final = (
    rf"(?:{MASK}(?![^\s\"',;&)}}\]])"
    r"|\\\"(?:(?!\\\")[^\n])*(?:\\\")?"  # JSON in a string of JSON
    r"|\"(?:\\.|[^\"\\\n])*\"?"
    r"|'(?:\\.|''|[^'\\\n])*'?"
    r"|[^\s\"']+[^\s\"]*)"
)
"""A value: up to the closing quote, or to the line's end without one; unquoted up to a blank."""


class SecretPattern(NamedTuple):
    """One form of a secret: its description, its pattern, and the replacement."""

    description: str
    regex: re.Pattern[str]
    replacement: str = MASK


SECRET_PATTERNS: Final[tuple[SecretPattern, ...]] = (
    SecretPattern(
        "a private key, also one whose end is cut off",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
    SecretPattern(
        "a private key whose beginning is cut off, as in the last lines of a log",
        re.compile(r"\A(?s:.*)-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    ),
    SecretPattern(
        "user and password in a URL, but not a port with an @ somewhere behind it",
        re.compile(r"://[^\s/:@?#\"<>]*:(?!\d{1,5}(?:[/?#\s]|\Z))[^\s\"<>]{1,512}@"),
        f"://{MASK}@",
    ),
    SecretPattern(
        "a token as the user of a URL, but not git@",
        re.compile(r"://[^\s/:@?#\"<>]{16,}@"),
        f"://{MASK}@",
    ),
    SecretPattern(
        "the header Authorization with a scheme or a digit, so that prose does not match",
        re.compile(
            rf"(?i)(authorization{_SEPARATOR})"
            rf"(?:digest[ \t]+[^\n]+|[\"'\[]?{_SCHEME}[ \t]+[^\"'\n]+"
            r"|[\"']?(?=[^\s\"']{0,512}\d)[^\s\"']{8,})"
        ),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "a bearer token outside of that header, but not 'Bearer authentication'",
        re.compile(r"(?i)\b(bearer[ \t]+)(?=[\w.~+/=-]*\d|[\w.~+/=-]{20})[\w.~+/=-]{8,}"),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "a cookie, which has a =: it can hold a session",
        re.compile(
            r"(?i)(\b(?:set-)?cookie[\"']?[ \t]*:[ \t]*[\"']?)(?=[^\"'\n]{1,512}=)[^\"'\n]+"
        ),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "a field whose name says that its value is secret",
        re.compile(
            rf"(?i)({_SECRET_FIELD}{_SEPARATOR}){_NOT_TRIVIAL}(?:{_SCHEME}[ \t]+(?=\S))?{_VALUE}"
        ),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "the same as an option of a command line, separated by a blank",
        re.compile(rf"(?i)((?<![\w-])--[\w-]{{0,40}}?{_SECRET_FIELD}[ \t]+){_VALUE}"),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "an AWS access key id: a fixed prefix and 16 characters",
        re.compile(r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}"),
    ),
    SecretPattern(
        "a JSON Web Token: its header always begins with eyJ",
        re.compile(r"(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]*)+"),
    ),
    SecretPattern(
        "tokens with a known prefix: GitHub, GitLab, Slack, npm, Vault…",
        re.compile(
            r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|npm_|hvs\.|sk-|sk_live_|rk_live_"
            r"|AIza|dckr_pat_)[\w-]{16,}"
        ),
    ),
    SecretPattern(
        "long hex or base64 after the name of a secret, but not digests and paths",
        re.compile(
            r"((?i:key|secret|token|password|credential|session|signature)"
            r"(?=[\"' \t:=])[\"']?[ \t]*(?::|=|is\b|was\b)?[ \t]*[\"'(\[]?)"
            r"(?:[0-9a-fA-F]{32,}(?![\w+/-])|(?=[\w+/-]{0,64}[A-Z])(?=[\w+/-]{0,64}[a-z])"
            r"(?=[\w+/-]{0,64}\d)[\w+/-]{32,}={0,2})"
        ),
        rf"\1{MASK}",
    ),
)
"""From the widest to the narrowest, so that no pattern splits what an earlier one has redacted."""


_SECRET_NAME: Final = re.compile(rf"(?i){_SECRET_FIELD}\Z")


def is_secret_name(name: str) -> bool:
    """Whether a field or a command line option with this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """Redact everything in ``text`` that looks like a secret.

    The text must be complete: a text that was cut before may begin inside a secret.
    """
    for pattern in SECRET_PATTERNS:
        text = pattern.regex.sub(pattern.replacement, text)
    return text


def strip_control_characters(text: str) -> str:
    """Remove colours, control characters and trailing blanks from ``text``.

    All line ends become line feeds, so that kubectl prints the text as a block.
    """
    text = _CONTROL_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4)
    return "\n".join(line.rstrip() for line in text.split("\n"))
