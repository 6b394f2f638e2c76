"""The NetworkPolicies of a namespace are read when an app is ill, and kept for a minute."""

import asyncio

import pytest

from selfhealing.controller.network_policies import CACHE_TTL, MAX_POLICIES, NetworkPolicies
from tests.unit import builders
from tests.unit.controller.fake_api_server import FakeApiServer, Json, forbidden_error
from tests.unit.controller.fake_loop import now


def policy(name: str) -> Json:
    """A NetworkPolicy for all pods."""
    found = builders.config("NetworkPolicy", name, spec={"podSelector": {}})
    found["metadata"]["creationTimestamp"] = builders.iso(5)
    return found


async def list_names(policies: NetworkPolicies) -> list[str]:
    """The names of the policies of the namespace."""
    return [each.name for each in await policies.list_all(builders.NAMESPACE)]


async def test_they_are_kept_for_a_minute() -> None:
    """Then they are read again."""
    api_server = FakeApiServer(policy("deny"))
    policies = NetworkPolicies(api_server.client, now)

    assert ["deny"] == await list_names(policies)
    api_server.put_object(policy("more"))
    assert ["deny"] == await list_names(policies)
    await asyncio.sleep(CACHE_TTL)
    assert ["deny", "more"] == sorted(await list_names(policies))
    assert ["list NetworkPolicy"] * 2 == api_server.requests


async def test_they_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Then none is named; it is not asked at each reconcile."""
    api_server = FakeApiServer(policy("deny"))
    api_server.errors["list"] = forbidden_error("no")
    policies = NetworkPolicies(api_server.client, now)

    assert [] == await list_names(policies)
    assert [] == await list_names(policies)
    assert ["list NetworkPolicy"] == api_server.requests
    assert "the NetworkPolicies of shop are unknown" in caplog.text


async def test_not_more_than_can_be_kept() -> None:
    """Nor is one that has no time."""
    broken = policy("broken")
    del broken["metadata"]["creationTimestamp"]
    many = [policy(f"p{number}") for number in range(MAX_POLICIES + 1)]
    policies = NetworkPolicies(FakeApiServer(broken, *many).client, now)

    assert MAX_POLICIES == len(await list_names(policies))
