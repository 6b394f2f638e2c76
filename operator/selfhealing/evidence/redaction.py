"""What looks like a secret is taken out of a text before anybody keeps it.

Evidence lies in a ConfigMap, which more people may read than the Secrets that an app was given, and
for longer than its logs last. So a word too many is masked rather than one too few; but a text in
which nothing looks like a secret stays as it is, or it would be no evidence.

Whatever an app has logged, no pattern may hold the operator up: where it has to look ahead for what
may not come, it looks a bounded way.
"""

import re
from typing import Final, NamedTuple

MASK: Final = "<redacted>"

_CONTROL_CHARACTERS: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # a terminal's colours and movements
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # its title, its links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]"
)
"""Splits words that are to be found, or cannot be stored, or makes kubectl show one long line."""

_SECRET_FIELD: Final = (
    r"(?:passw(?:or)?d|passphrase|pwd|_pass|\bpass(?==)|secret|token|credentials?"  # noqa: S105 - a pattern
    r"|(?:api|access|account|auth|encryption|license|master|private|secret|shared|signing"
    r"|storage)[-_ ]?key(?:[-_ ]?id)?|session[-_]?id|signature|\bsig)"
)
"""How a field is called that holds a secret; whatever stands before, as in DB_PASSWORD."""
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
"""In quotes to the closing quote, or to the line's end without one; else to the next blank."""


class SecretPattern(NamedTuple):
    """One way in which a secret is written: what it is known by, and what stands there instead."""

    description: str
    regex: re.Pattern[str]
    replacement: str = MASK


SECRET_PATTERNS: Final[tuple[SecretPattern, ...]] = (
    SecretPattern(
        "a private key, also one whose end is not there any more",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
    SecretPattern(
        "a private key whose beginning is not there any more: a log's last lines begin anywhere",
        re.compile(r"\A(?s:.*)-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    ),
    SecretPattern(
        "user and password in a URL; a port with an @ somewhere behind it is none",
        re.compile(r"://[^\s/:@?#\"<>]*:(?!\d{1,5}(?:[/?#\s]|\Z))[^\s\"<>]{1,512}@"),
        f"://{MASK}@",
    ),
    SecretPattern(
        "a token in the place of a URL's user; git@ is none",
        re.compile(r"://[^\s/:@?#\"<>]{16,}@"),
        f"://{MASK}@",
    ),
    SecretPattern(
        "the header Authorization; in prose, a scheme or a digit is missing",
        re.compile(
            rf"(?i)(authorization{_SEPARATOR})"
            rf"(?:digest[ \t]+[^\n]+|[\"'\[]?{_SCHEME}[ \t]+[^\"'\n]+"
            r"|[\"']?(?=[^\s\"']{0,512}\d)[^\s\"']{8,})"
        ),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "a bearer token outside of that header; 'Bearer authentication' is none",
        re.compile(r"(?i)\b(bearer[ \t]+)(?=[\w.~+/=-]*\d|[\w.~+/=-]{20})[\w.~+/=-]{8,}"),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "cookies: whoever has them is logged in; without a = there is none",
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
        "the same as an option of a command line, which has no separator but a blank",
        re.compile(rf"(?i)((?<![\w-])--[\w-]{{0,40}}?{_SECRET_FIELD}[ \t]+){_VALUE}"),
        rf"\1{MASK}",
    ),
    SecretPattern(
        "the id of an AWS key: a fixed beginning and 16 letters",
        re.compile(r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}"),
    ),
    SecretPattern(
        "a JSON Web Token: its header always begins with these letters",
        re.compile(r"(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]*)+"),
    ),
    SecretPattern(
        "tokens that say by their beginning whose they are: GitHub, GitLab, Slack, npm, Vault…",
        re.compile(
            r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|npm_|hvs\.|sk-|sk_live_|rk_live_"
            r"|AIza|dckr_pat_)[\w-]{16,}"
        ),
    ),
    SecretPattern(
        "long hex or base64 after a word that speaks of a secret; digests and paths are none",
        re.compile(
            r"((?i:key|secret|token|password|credential|session|signature)"
            r"(?=[\"' \t:=])[\"']?[ \t]*(?::|=|is\b|was\b)?[ \t]*[\"'(\[]?)"
            r"(?:[0-9a-fA-F]{32,}(?![\w+/-])|(?=[\w+/-]{0,64}[A-Z])(?=[\w+/-]{0,64}[a-z])"
            r"(?=[\w+/-]{0,64}\d)[\w+/-]{32,}={0,2})"
        ),
        rf"\1{MASK}",
    ),
)
"""From the widest to the narrowest: what one has masked is not cut up by the next."""


_SECRET_NAME: Final = re.compile(rf"(?i){_SECRET_FIELD}\Z")


def is_secret_name(name: str) -> bool:
    """Whether a field, or an option of a command, that is called so holds a secret."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """Mask everything in ``text`` that looks like a secret.

    It is to be a whole text: one that has been cut before may begin in the midst of a secret.
    """
    for pattern in SECRET_PATTERNS:
        text = pattern.regex.sub(pattern.replacement, text)
    return text


def strip_control_characters(text: str) -> str:
    """Take out of ``text`` what is not to be read: colours, control characters, blanks at an end.

    The lines are those that a line feed ends, so that kubectl shows them one below the other.
    """
    text = _CONTROL_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).expandtabs(4)
    return "\n".join(line.rstrip() for line in text.split("\n"))
