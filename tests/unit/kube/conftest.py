"""Asynchronous tests of this folder run with a fake clock, as those of the controller."""

import ssl
from collections.abc import Iterator
from functools import cache

import pytest

from tests.unit.controller.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]

_create_tls_context = cache(ssl.create_default_context)


@pytest.fixture(scope="module", autouse=True)
def shared_tls_context() -> Iterator[None]:
    """Give all clients one TLS context: a new one reads the system's certificates, in 20 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", _create_tls_context)
        yield
