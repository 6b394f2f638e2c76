"""Secrets of several lines: what is masked, and what beside them stays."""

import pytest

from selfhealing.evidence.secret_blocks import mask_blocks

BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a\n{BEGIN}\nx\n{END}\nb\n{BEGIN}\ny\n{END}\nc", "a\n<redacted>\nb\n<redacted>\nc"),
        (f"x\n{END}\na\n{BEGIN}\ny", "<redacted>\na\n<redacted>"),
        (f"{BEGIN}{BEGIN}x{END}a", "<redacted>a"),
        ("no PRIVATE KEY here", "no PRIVATE KEY here"),
        ("secret:\n  value:\n  name: a\nb: c", "secret:\n  value:\n  name: a\nb: c"),
        ("password:\n\n  x\n\nb: c", "password:\n\n  <redacted>\n\nb: c"),
        ("- password: |\n    x\n  name: y", "- password: |\n    <redacted>\n  name: y"),
        ("secrets:\n- token: x\n- other: y", "secrets:\n- token: <redacted>\n- other: y"),
        (
            "volumes:\n- secret:\n    secretName: web-tls\n  name: tls",
            "volumes:\n- secret:\n    secretName: web-tls\n  name: tls",
        ),
        ("data:\n  a: b", "data:\n  a: b"),
        ("kind: Secret\ndata:\n  a: b\nc: d", "kind: Secret\ndata:\n  a: <redacted>\nc: d"),
        ("kind: SecretStore\ndata:\n  a: b", "kind: SecretStore\ndata:\n  a: b"),
    ],
)
def test_blocks(text: str, expected: str) -> None:
    """A block ends where the indentation does."""
    assert expected == mask_blocks(text)


def test_a_digest_on_a_line_of_its_own_stays() -> None:
    """As docker run prints it; a line of a key has letters of both cases and digits."""
    digest = "0123456789abcdef" * 4

    assert f"started\n{digest}" == mask_blocks(f"started\n{digest}")
    assert "a\n<redacted>" == mask_blocks(f"a\n{'aB3' * 21}+")
