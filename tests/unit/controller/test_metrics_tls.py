"""The metrics over TLS, on real sockets."""

import asyncio
import logging
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hack.localcluster.certificates import KeyPair, create_certificate
from hack.testkit.ports import find_free_port
from selfhealing.controller.http_endpoints import metrics_endpoint
from selfhealing.controller.http_listener import MAX_CONNECTIONS
from selfhealing.controller.serving_certificate import ServingCertificate

HOST = "metrics.example"
REQUEST = f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


@pytest.fixture(scope="module")
def pairs() -> tuple[KeyPair, KeyPair]:
    """A certificate, and the one that follows it."""
    return create_certificate(HOST), create_certificate(HOST)


@pytest.fixture
def files(tmp_path: Path, pairs: tuple[KeyPair, KeyPair]) -> tuple[Path, Path]:
    """The files of the first pair."""
    cert_file, key_file = tmp_path / "tls.crt", tmp_path / "tls.key"
    write_pair((cert_file, key_file), pairs[0])
    return cert_file, key_file


def write_pair(files: tuple[Path, Path], pair: KeyPair) -> None:
    """Replace the files as a mounted Secret does: by others, not by other contents."""
    for file, text in zip(files, (pair.certificate, pair.key), strict=True):
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)


def trust(pair: KeyPair) -> ssl.SSLContext:
    """A client that trusts this certificate alone."""
    return ssl.create_default_context(cadata=pair.certificate)


async def read_metrics(port: int, context: ssl.SSLContext | None) -> bytes:
    """Ask for the metrics; empty when the connection is closed without an answer."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=HOST if context is not None else None
    )
    try:
        writer.write(REQUEST)
        return await reader.read()
    finally:
        writer.close()


def serve(files: tuple[Path, Path], client: Callable[[int], Awaitable[None]]) -> None:
    """Run a client while the metrics are served; it gets the port."""

    async def run() -> None:
        port = find_free_port()
        cert_file, key_file = map(str, files)
        endpoint = metrics_endpoint(port, tls_files=(cert_file, key_file))
        await endpoint.start()
        try:
            await client(port)
        finally:
            await endpoint.stop()

    asyncio.run(run())


def test_the_metrics_are_served(files: tuple[Path, Path], pairs: tuple[KeyPair, KeyPair]) -> None:
    """With the certificate, and not without TLS."""

    async def client(port: int) -> None:
        assert b"selfhealing_reconciles_total" in await read_metrics(port, trust(pairs[0]))
        assert b"" == await read_metrics(port, None)
        with pytest.raises(ssl.SSLCertVerificationError):
            await read_metrics(port, trust(pairs[1]))

    serve(files, client)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_versions_are_refused(files: tuple[Path, Path], pairs: tuple[KeyPair, KeyPair]) -> None:
    """TLS 1.1 is not served, TLS 1.2 is."""
    old, current = trust(pairs[0]), trust(pairs[0])
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")  # else the client itself refuses
    current.maximum_version = ssl.TLSVersion.TLSv1_2

    async def client(port: int) -> None:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await read_metrics(port, old)
        assert b"selfhealing_" in await read_metrics(port, current)

    serve(files, client)


def test_a_new_certificate_is_used(
    files: tuple[Path, Path], pairs: tuple[KeyPair, KeyPair]
) -> None:
    """From the next connection on, without a restart."""

    async def client(port: int) -> None:
        await read_metrics(port, trust(pairs[0]))
        write_pair(files, pairs[1])

        assert b"selfhealing_" in await read_metrics(port, trust(pairs[1]))

    serve(files, client)


@pytest.mark.parametrize("damage", ["missing", "no certificate", "another's key"])
def test_a_bad_certificate_replaces_nothing(
    files: tuple[Path, Path],
    pairs: tuple[KeyPair, KeyPair],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told, and the one that follows is used."""
    cert_file, key_file = files

    async def client(port: int) -> None:
        if damage == "missing":
            cert_file.unlink()
        elif damage == "no certificate":
            cert_file.write_text("no certificate")
        else:
            key_file.write_text(pairs[1].key)
        with caplog.at_level(logging.WARNING):
            assert b"selfhealing_" in await read_metrics(port, trust(pairs[0]))

        assert "the certificate before stays in use" in caplog.text

        write_pair(files, pairs[1])

        assert b"selfhealing_" in await read_metrics(port, trust(pairs[1]))

    serve(files, client)


def test_connections_without_a_handshake_are_bounded(
    files: tuple[Path, Path], pairs: tuple[KeyPair, KeyPair]
) -> None:
    """Whoever opens them and sends nothing keeps nobody from the metrics."""

    async def client(port: int) -> None:
        idle = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * MAX_CONNECTIONS)
        ]

        assert b"selfhealing_" in await read_metrics(port, trust(pairs[0]))
        assert MAX_CONNECTIONS >= sum(not reader.at_eof() for reader, _ in idle)

        for _, writer in idle:
            writer.close()

    serve(files, client)


def test_established_connections_are_bounded(
    files: tuple[Path, Path], pairs: tuple[KeyPair, KeyPair]
) -> None:
    """Those that ask for nothing, and do not take part in their end."""

    async def client(port: int) -> None:
        context = trust(pairs[0])
        idle = [
            await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
            for _ in range(2 * MAX_CONNECTIONS)
        ]

        assert b"selfhealing_" in await read_metrics(port, context)
        assert MAX_CONNECTIONS >= sum(not reader.at_eof() for reader, _ in idle)

        for _, writer in idle:
            writer.close()

    serve(files, client)


@pytest.mark.parametrize("missing", [0, 1])
def test_without_its_certificate_nothing_is_served(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture, missing: int
) -> None:
    """Neither is plain HTTP; the operator runs, and its log says why."""
    files[missing].unlink()

    async def client(port: int) -> None:
        with pytest.raises(ConnectionRefusedError):
            await read_metrics(port, None)

    serve(files, client)

    assert "no endpoint for metrics" in caplog.text


def test_a_key_with_a_password_is_refused(tmp_path: Path, files: tuple[Path, Path]) -> None:
    """OpenSSL would ask for the password on a terminal, and wait."""
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", str(files[1])]
    subprocess.run([*command, "-out", str(encrypted)], check=True, timeout=60)

    with pytest.raises(ssl.SSLError):
        ServingCertificate(str(files[0]), str(encrypted))
