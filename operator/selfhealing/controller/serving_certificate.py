"""The certificate of an endpoint: it is loaded again when its files change.

A Secret that is mounted as a volume is replaced under the running process, by cert-manager every
60 days. A pair that cannot be loaded replaces nothing.
"""

import logging
import ssl
from pathlib import Path

logger = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int, int], ...]
"""By file, what changes when it is written or replaced: inode, size, time in nanoseconds."""


class ServingCertificate:
    """A certificate chain and its private key, as PEM files."""

    def __init__(self, cert_file: str, key_file: str) -> None:
        """Load the files.

        Raises:
            OSError: they cannot be read, or are no certificate with its key (``ssl.SSLError``).
        """
        self._files = (Path(cert_file), Path(key_file))
        self._signature = self._read_signature()
        self._context = self._load()

    def refresh_context(self) -> ssl.SSLContext:
        """Return the context of the next connection, of new files if there are any."""
        try:
            signature = self._read_signature()
            if signature != self._signature:
                self._signature = signature  # a bad pair is tried once, and again when it changes
                self._context = self._load()
                logger.info("loaded the new certificate %s", self._files[0])
        except OSError as error:
            logger.warning("the certificate before stays in use: %s: %s", self._files[0], error)
        return self._context

    def _read_signature(self) -> _Signature:
        stats = (file.stat() for file in self._files)
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A password is given, as otherwise OpenSSL asks for that of an encrypted key, and waits.
        context.load_cert_chain(*self._files, password="")
        return context
