"""Tells from the name of a field, variable, header or option whether its value is a secret."""

from functools import lru_cache
from typing import Final

from selfhealing.api.linear_regex import Match, compile_pattern


def parse_words(text: str) -> frozenset[str]:
    """Return the words of a text that lists them."""
    return frozenset(text.split())


_MAX_NAME: Final = 128
"""Characters of a name, from its end, that are looked at."""

_SECRET_WORDS: Final = parse_words(
    """
    pass passes password passwords passwd passphrase passcode passkey pwd pw psw pin otp pat
    secret secrets token credential credentials cred creds auth apikey apikeys jwt salt sig
    signature sid sessionid csrf xsrf csrftoken xsrftoken
    passwort kennwort contraseña contrasena senha wachtwoord lösenord losenord salasana hasło haslo
    heslo parola şifre sifre пароль 密码 密碼 口令 パスワード 비밀번호 암호
    """
)
_SECRET_ENDINGS: Final = (
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "kennwort",
    "pwd",
    "secret",
    "token",
    "credentials",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "requirepass",
    "masterauth",
    "пароль",
    "密码",
    "密碼",
)
"""Ends of words that are written without a separator, as in "dbpassword"."""
_BEFORE_PASS: Final = parse_words(
    "admin db database ftp http key ldap login mail my mysql pg postgres proxy redis root smtp ssl"
    " store trust user"
)
"""What "pass" is the end of, as in "dbpass", but not in "bypass"."""
_KEY_WORDS: Final = parse_words(
    "access account admin aes api app auth client consumer deploy encryption hmac jwt licence"
    " license master private root secret session shared signing ssh storage subscription symmetric"
    " webhook"
)
"""Words before "key" in the name of a secret; the key of a map or an index is none."""

_HARMLESS_AFTER: Final = parse_words(
    """
    address age algorithm attempts audience bucket cache changed class controller count dir
    directory disabled driver enabled endpoint error errors exists expired expires expiration expiry
    field file filename format found group header hint host in invalid issuer kind length len limit
    lifetime manager max metadata min missing mode mount name namespace names not number operator
    path plugin policy port prompt provider ref reference refs required reset retries rotation scope
    scopes server service size source state status store strength timeout total ttl type types
    updated uri url usage used user username valid validation version volume
    """
)
"""Words that follow the word of a secret in the name of a property of it, such as its age."""
_HARMLESS_BEFORE: Final = parse_words(
    "automount has is max min needs no num pull require requires set total use uses"
)

_WORD_BOUNDARY: Final = compile_pattern(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])")
_SEPARATORS: Final = str.maketrans(dict.fromkeys("_-. \t$[]()/\\:\"'`", " "))


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Whether a field, a variable, a header or an option with this name holds a secret."""
    words = _split_words(name[-_MAX_NAME:])
    last = next((i for i in reversed(range(len(words))) if _is_secret_word(words, i)), None)
    return (
        last is not None
        and _HARMLESS_AFTER.isdisjoint(words[last + 1 :])
        and _HARMLESS_BEFORE.isdisjoint(words[:last])
    )


def _split_words(name: str) -> list[str]:
    """Split a name at separators and in camelCase, into words in lower case without digits."""
    spaced = _WORD_BOUNDARY.sub(_insert_blank, name.translate(_SEPARATORS))
    words = (word.strip("0123456789").lower() for word in spaced.split())
    return [word for word in words if word]


def _insert_blank(match: Match) -> str:
    left, right, upper, title = match.groups()
    return f"{left} {right}" if left else f"{upper} {title}"


def _is_secret_word(words: list[str], index: int) -> bool:
    word, before = words[index], words[index - 1] if index else ""
    if word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS):
        return True
    if word in {"key", "keys"}:
        return before in _KEY_WORDS
    if word == "id":
        return before == "session"
    if word == "passe":
        return before == "de"
    return word.endswith("pass") and word.removesuffix("pass") in _BEFORE_PASS
