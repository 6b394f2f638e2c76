"""Parts of the patterns of secrets, and what stands in place of a secret."""

from typing import Final

from selfhealing.evidence.secret_names import parse_words

MASK: Final = "<redacted>"

WORDS: Final = (
    r"(?:pass|pwd|psw|pw|secret|token|cred|key|auth|sig|sid|session|otp|pat|pin|jwt|salt"
    r"|csrf|xsrf|kennwort|contrase|senha|wachtwoord|l[oö]senord|salasana|has[lł]o|heslo|parola"
    r"|[sş]ifre|пароль|密码|密碼|口令|パスワード|비밀번호|암호)"
)
"""A part of the name of every secret; is_secret_name checks the whole name."""
NAME: Final = (
    rf"(?:(?:api|access|account|mot|de|private|client|session|encryption|auth)[ ]){{0,2}}"
    rf"[\pL\pN_.-]*{WORDS}[\pL\pN_.-]*"
)
_QUOTES: Final = r"[\"'\x60\\\])]{0,6}"
_ASSIGNMENT: Final = r"(?::=|=>|={1,2}|:|\x{ff1a}|\x{ff1d}|%3[dDaA]|\\u003[dD])"
"""Chinese and Japanese have a colon and an equals sign of their own."""
SEPARATOR: Final = rf"{_QUOTES}[ \t]*{_ASSIGNMENT}[ \t]*"
SCHEME_NAMES: Final = parse_words(
    "basic bearer digest token apikey hmac negotiate ntlm aws4-hmac-sha256"
)
"""Schemes of the header Authorization, in lower case."""
SCHEMES: Final = f"(?:{'|'.join(sorted(SCHEME_NAMES))})"
