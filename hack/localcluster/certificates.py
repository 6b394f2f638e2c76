"""A certificate for a webhook that only this cluster's API server calls.

It signs itself and is its own authority: the API server is told to trust exactly this one.  The
openssl program makes it, since every Debian with ``ca-certificates`` has one.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.localcluster.subprocesses import run_checked, run_unchecked

_DAYS: Final = 3650
_RENEW_SECONDS: Final = 30 * 24 * 3600


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def create_certificate(host: str) -> KeyPair:
    """Make a certificate for a host name. The key is on disk only for a moment, for root only."""
    with tempfile.TemporaryDirectory() as name:
        key, certificate = Path(name, "key"), Path(name, "certificate")
        key.touch(mode=0o600)
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        subject = ["-subj", "/CN=webhook", "-addext", f"subjectAltName=DNS:{host}"]
        files = ["-keyout", str(key), "-out", str(certificate), "-days", str(_DAYS)]
        run_checked(["openssl", "req", "-x509", *curve, *subject, *files], seconds=60)
        return KeyPair(certificate.read_text(), key.read_text())


def is_valid_certificate(pair: KeyPair, host: str) -> bool:
    """Tell whether a pair fits together, is for the host and lasts another month."""
    shown = ["openssl", "x509", "-noout"]
    expiry_check = run_unchecked([*shown, "-checkend", str(_RENEW_SECONDS)], stdin=pair.certificate)
    # Its exit code says nothing about the host.
    host_check = run_unchecked([*shown, "-checkhost", host], stdin=pair.certificate)
    certificate_key = run_unchecked([*shown, "-pubkey"], stdin=pair.certificate)
    key_output = run_unchecked(["openssl", "pkey", "-pubout"], stdin=pair.key)
    is_matching = key_output.returncode == 0 and key_output.stdout == certificate_key.stdout
    return expiry_check.returncode == 0 and "does match" in host_check.stdout and is_matching
