"""Asynchronous tests of this folder run with a fake clock, as those of the controller."""

from tests.unit.controller.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
