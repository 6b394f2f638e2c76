"""No form of a secret survives redaction, and ordinary lines are not changed."""

from pathlib import Path

import pytest

from selfhealing.evidence.redaction import redact, redact_message, strip_control_characters
from selfhealing.evidence.secret_syntax import MASK
from tests.unit.evidence.secret_forms import SecretForm, all_forms

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


def test_there_are_many_ordinary_lines() -> None:
    """No pattern may be tuned to a few."""
    assert len(set(BENIGN_LINES)) >= 80


@pytest.mark.parametrize("line", BENIGN_LINES)
def test_ordinary_lines_stay(line: str) -> None:
    """Otherwise the text would be useless as evidence."""
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


@pytest.mark.parametrize("words", [1, 2000])
def test_a_message_of_any_length_is_redacted(words: int) -> None:
    """A long one is not remembered."""
    assert f"{'word ' * words}password={MASK}" == redact_message(
        "word " * words + "password=x1y2z3"
    )
