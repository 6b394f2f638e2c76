"""What holds for the redaction of any text; without coverage, which doubles its time."""

import base64
import json
import string

import pytest
from hypothesis import given, strategies as st

from selfhealing.evidence.redaction import redact, redact_message, strip_control_characters
from selfhealing.evidence.secret_syntax import MASK

LETTERS = string.ascii_letters + string.digits
MARKER = "S3cr3t"
"""Stands in every secret that is made up here, so that a part of one is recognised."""


def word(more: str = "", least: int = 0) -> st.SearchStrategy[str]:
    """A secret of letters, digits and ``more`` that contains the marker."""
    part = st.text(LETTERS + more, min_size=least, max_size=40)
    return st.tuples(part, part).map(MARKER.join)


FIELDS = st.sampled_from(
    [
        "password",
        "PASSWORD",
        "DB_PASSWORD",
        "passwd",
        "pwd",
        "MYSQL_PASS",
        "passphrase",
        "secret",
        "clientSecret",
        "AWS_SECRET_ACCESS_KEY",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "AccountKey",
        "token",
        "access_token",
        "credentials",
        "sessionId",
        "X-Amz-Signature",
        "sig",
    ]
)
TEXT = "!#$%&()*+,-./:;<=>?@[]^_`{|}~"
"""What a password may hold besides letters."""

HEX = st.binary(min_size=16, max_size=40).map(bytes.hex)
BASE64 = (
    st.binary(min_size=24, max_size=60)
    .map(lambda data: base64.b64encode(data).decode().rstrip("="))
    .filter(
        lambda text: (
            any(c.isupper() for c in text[:32])
            and any(c.islower() for c in text[:32])
            and any(c.isdigit() for c in text[:32])
        )
    )
)
JWT = st.tuples(word(least=8), word("-_"), word("-_")).map(lambda parts: f"eyJ{'.'.join(parts)}")
AWS = st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16)
KIND = st.sampled_from(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
LINES = st.lists(word("+/="), min_size=1, max_size=5).map("\n".join)

SECRETS_BY_FORM = {
    "NAME=value": st.tuples(FIELDS, word(TEXT)).map("=".join),
    "name: value": st.tuples(FIELDS, word(TEXT)).map(": ".join),
    'name="value"': st.tuples(FIELDS, word(TEXT + " '")).map(lambda p: f'{p[0]}="{p[1]}"'),
    "name='value'": st.tuples(FIELDS, word(TEXT + ' "')).map(lambda p: f"{p[0]}='{p[1]}'"),
    "JSON": st.tuples(FIELDS, word(TEXT + " '\"\\")).map(lambda p: json.dumps({p[0]: p[1]})),
    "dense JSON": st.tuples(FIELDS, word(TEXT + " '\"\\")).map(
        lambda p: json.dumps({p[0]: p[1], "level": "info"}, separators=(",", ":"))
    ),
    "JSON in JSON": st.tuples(FIELDS, word(TEXT + " '")).map(
        lambda p: json.dumps({"msg": json.dumps({p[0]: p[1], "x": 1})})
    ),
    "YAML": st.tuples(FIELDS, word(" ")).map(lambda p: f"{p[0]}: 'it''s {p[1]}'"),
    "name: scheme value": st.tuples(FIELDS, word()).map(lambda p: f"{p[0]}: Bearer {p[1]}"),
    "--name value": st.tuples(FIELDS, word(TEXT)).map(lambda p: f"--db-{p[0]} {p[1]}"),
    "URL": word("!$&()*+,;=-._~%@/?#:").map(lambda p: f"postgres://shop:x{p}@db:5432/shop"),
    "URL without a user": word("-._~").map(lambda p: f"redis://:{p}@cache:6379"),
    "token in a URL": word("_", 8).map(lambda p: f"https://{p}@git.example.com/shop.git"),
    "Basic": word("+/=").map(lambda p: f"Authorization: Basic {p}"),
    "Bearer": word("-._~+/=").map(lambda p: f"Authorization: Bearer {p}"),
    "Digest": word().map(lambda p: f'Authorization: Digest username="u", response="{p}"'),
    "raw token": word("-._").map(lambda p: f"authorization: {p}1234567"),
    "JSON header": word("-._").map(lambda p: json.dumps({"Authorization": f"Bearer {p}"})),
    "bearer in prose": word("-._~+/", 2).map(lambda p: f"sent the bearer {p} to web"),
    "Cookie": word("-._").map(lambda p: f"Cookie: theme=dark; id={p}"),
    "Set-Cookie": word("-._").map(lambda p: f"set-cookie: id={p}; HttpOnly"),
    "JWT": JWT.map(lambda p: f"user {p} is unknown"),
    "known beginning": st.tuples(
        st.sampled_from(["ghp_", "github_pat_", "glpat-", "xoxb-", "sk-", "npm_", "AIza"]),
        word("_-", 10),
    ).map("".join),
    "private key": st.tuples(KIND, LINES).map(
        lambda p: f"-----BEGIN {p[0]}PRIVATE KEY-----\n{p[1]}\n-----END {p[0]}PRIVATE KEY-----"
    ),
    "private key without an end": LINES.map(lambda p: f"-----BEGIN PRIVATE KEY-----\n{p}"),
    "private key without a beginning": LINES.map(lambda p: f"{p}\n-----END PRIVATE KEY-----"),
}
AROUND = st.sampled_from(["", "12:00:01 INFO ", "could not connect: ", "{", "env DEBUG=1 "])


@pytest.mark.parametrize("shape", SECRETS_BY_FORM)
def test_a_secret_never_survives(shape: str) -> None:
    """Whatever is before and after it."""

    @given(
        AROUND, SECRETS_BY_FORM[shape], st.sampled_from(["", "\nnext line", " and more", "\r\n"])
    )
    def check(before: str, secret: str, behind: str) -> None:
        found = redact(strip_control_characters(before + secret + behind))

        assert MARKER not in found
        assert MASK in found

    check()


@given(st.sampled_from(["AKIA", "ASIA"]), AWS, AROUND)
def test_the_id_of_an_aws_key_never_survives(kind: str, key: str, before: str) -> None:
    """It has a fixed form, so it needs no name before it."""
    assert f"{before}{MASK} is not valid" == redact(f"{before}{kind}{key} is not valid")


@given(
    st.sampled_from(["key", "the signing key", "Secret", "token", "session"]),
    st.sampled_from([" ", "=", ": ", " is ", ' "', "='"]),
    HEX | BASE64,
)
def test_a_long_code_after_the_name_of_a_secret_never_survives(
    name: str, between: str, code: str
) -> None:
    """In hexadecimal digits or in base64."""
    assert code not in redact(f"loaded {name}{between}{code}")


@pytest.mark.parametrize("shape", SECRETS_BY_FORM)
def test_redaction_is_idempotent(shape: str) -> None:
    """The mask is not redacted again."""

    @given(SECRETS_BY_FORM[shape])
    def check(secret: str) -> None:
        once = redact(secret)

        assert once == redact(once)

    check()


PIECES = st.sampled_from(
    [
        *("password", "token", "key", "secret", "pass:", "auth", "name", "value", "data", "is"),
        *(
            "=",
            ":",
            " ",
            '"',
            "'",
            "\\",
            "[",
            "]",
            "{",
            "}",
            "`",
            "<",
            ">",
            "/",
            "@",
            ",",
            "|",
            "(",
        ),
        *("x1", "hunter2", "12", "-", "--", "://", "\n", "Bearer", "basic", "AUTH ", "MASK"),
        *("kind: Secret", "-----BEGIN ", "-----END ", "PRIVATE KEY-----", "IDENTIFIED BY "),
        *("eyJabcdefghij", "ghp_abcdefghijklmnop123", "curl -u", "mysql -p", "authorization", MASK),
    ]
)


@given(st.lists(PIECES, max_size=10).map("".join))
def test_what_is_redacted_is_not_redacted_again(text: str) -> None:
    """Otherwise the status would be written again and again."""
    once = redact(text)
    message = redact_message(text)

    assert once == redact(once)
    assert message == redact_message(message)


@given(st.lists(st.sampled_from(["the", "app", "did", "not", "answer", "in", "12.5s", "/healthz"])))
def test_prose_stays(words: list[str]) -> None:
    """Any words, if none of them is the name of a secret."""
    line = " ".join(words)

    assert line == redact(line)


@given(st.text())
def test_a_plain_text_can_be_stored(text: str) -> None:
    """And it is not changed by a second call."""
    found = strip_control_characters(text)

    assert found == strip_control_characters(found)
    assert found.encode().decode() == found
    assert not any(line != line.rstrip() for line in found.split("\n"))
