"""No form of a secret survives redaction, and ordinary lines are not changed."""

import base64
import json
import string
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from selfhealing.evidence.redaction import redact, redact_message, strip_control_characters
from selfhealing.evidence.secret_syntax import MASK
from tests.unit.evidence.secret_forms import SecretForm, all_forms

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


BENIGN_LINES = Path(__file__).with_name("benign_lines.txt").read_text().splitlines()
KNOWN_MISSES = {
    "prose: 'tried {} as the password' hunter2",
    "prose: 'tried {} as the password' Tr0ub4dor3x",
    "best effort: 'login failed with secret word {}' swordfish",
    "best effort: 'drowssap: {}' swordfish",
    "best effort: 'password s w o r d: {}' swordfish",
    "best effort: 'p a s s w o r d = {}' swordfish",
    "best effort: 'bob / {}' swordfish",
    "best effort: 'bob {} logged in' swordfish",
    "best effort: 'credentials bob {}' swordfish",
}
"""Nothing in these tells that a word is a secret, except to a person who reads them. The list is
exact: a form that becomes masked leaves it."""


@pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.name)
def test_every_form_of_the_table_is_masked(form: SecretForm) -> None:
    """The known misses are not."""
    is_masked = form.secret not in redact(strip_control_characters(form.text))

    assert is_masked is (form.name not in KNOWN_MISSES)


def test_the_table_is_large_and_its_misses_are_few() -> None:
    """At least 340 forms, and 95 % of them masked."""
    names = {form.name for form in all_forms()}

    assert len(names) >= 340
    assert names >= KNOWN_MISSES
    assert len(KNOWN_MISSES) <= 0.05 * len(names)


@pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.name)
def test_a_known_value_is_masked_in_every_form(form: SecretForm) -> None:
    """Then no form is needed."""
    assert form.secret not in redact(strip_control_characters(form.text), (form.secret,))


@pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.name)
def test_redaction_of_every_form_is_idempotent(form: SecretForm) -> None:
    """The history of healing is redacted each time that the status is built."""
    once = redact(strip_control_characters(form.text))

    assert once == redact(once)
    message = redact_message(form.text)
    assert message == redact_message(message)


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


def test_there_are_many_ordinary_lines() -> None:
    """No pattern may be tuned to a few."""
    assert len(set(BENIGN_LINES)) >= 80


@pytest.mark.parametrize("line", BENIGN_LINES)
def test_ordinary_lines_stay(line: str) -> None:
    """Otherwise the text would be useless as evidence."""
    assert line == redact(line)


@given(st.lists(st.sampled_from(["the", "app", "did", "not", "answer", "in", "12.5s", "/healthz"])))
def test_prose_stays(words: list[str]) -> None:
    """Any words, if none of them is the name of a secret."""
    line = " ".join(words)

    assert line == redact(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2 user=bob", f"password={MASK} user=bob"),
        ('{"password":"hunter 2","user":"bob"}', f'{{"password":{MASK},"user":"bob"}}'),
        ("a postgres://bob:hunter2@db/shop b", f"a postgres://{MASK}@db/shop b"),
        ("Authorization: Basic Ym9i\nnext", f"Authorization: {MASK}\nnext"),
        ("first\n-----END PRIVATE KEY-----\nlast", f"{MASK}\nlast"),
    ],
)
def test_only_the_secret_is_masked(text: str, expected: str) -> None:
    """The text beside the secret stays."""
    assert expected == redact(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;4mbold\x1b[m", "red and bold"),
        ("\x1b]0;title\x07text", "text"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("a\x00b\x08c\x7fd\ufeff", "abcd"),
        ("a\tb  \n  c \t", "a   b\n  c"),
        ("half a letter \ud83d", "half a letter"),
        ("naïve 日志 ✓", "naïve 日志 ✓"),
        ("pass\x1b[1mword\x1b[0m=x", "password=x"),
    ],
)
def test_control_characters_are_removed(text: str, expected: str) -> None:
    """Colour codes may split the name of a secret."""
    assert expected == strip_control_characters(text)


@given(st.text())
def test_a_plain_text_can_be_stored(text: str) -> None:
    """And it is not changed by a second call."""
    found = strip_control_characters(text)

    assert found == strip_control_characters(found)
    assert found.encode().decode() == found
    assert not any(line != line.rstrip() for line in found.split("\n"))
