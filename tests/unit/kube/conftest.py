"""Asynchronous tests of this folder run on a made-up clock, as those of the controller do."""

from tests.unit.controller.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
