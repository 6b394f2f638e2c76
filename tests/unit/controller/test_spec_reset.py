"""How a child is put back of which an apply alone is refused."""

from typing import Any, cast

import pytest

from selfhealing.api import names
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.controller.spec_reset import reset_spec
from selfhealing.kube.client import Client
from selfhealing.kube.errors import InvalidError
from selfhealing.kube.resources import Resource
from tests.unit.snapshots import KEY

Json = dict[str, Any]

LIVE: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": KEY.name, "namespace": KEY.namespace, "uid": "1", "resourceVersion": "1"},
    "spec": {"template": {"spec": {"volumes": [{"name": "data", "configMap": {"name": "x"}}]}}},
}
DESIRED: Json = {
    **LIVE,
    "spec": {"template": {"spec": {"volumes": [{"name": "data", "emptyDir": {}}]}}},
}


class FakeApiServer:
    """A Deployment whose managers change their places, as others write, a number of times."""

    def __init__(self, moves: int) -> None:
        self.managers = ["kubectl-edit", names.FIELD_MANAGER]
        self._moves = moves

    def build_object(self) -> Json:
        """The Deployment with its managers."""
        fields = [{"manager": manager} for manager in self.managers]
        return {**LIVE, "metadata": {**LIVE["metadata"], "managedFields": fields}}

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """The Deployment, as it is now."""
        assert (resource.kind, namespace, name) == ("Deployment", KEY.namespace, KEY.name)
        return self.build_object()

    async def json_patch(
        self, _resource: Resource, _namespace: str, _name: str, operations: list[Json], manager: str
    ) -> Json:
        """A reset, or the removal of a manager's entry, which another writer may come before."""
        if operations[-1]["path"].startswith("/spec"):
            self.managers.append(manager)
            return self.build_object()
        if self._moves:
            self._moves -= 1
            self.managers.insert(0, f"kube-controller-manager-{self._moves}")
        index = int(operations[-1]["path"].rpartition("/")[2])
        if self.managers[index] != operations[0]["value"]:
            raise InvalidError(422, "Invalid", "the server rejected the patch: test failed")
        del self.managers[index]
        return self.build_object()


async def reset(server: FakeApiServer) -> bool:
    live = CHILD_VIEWS["Deployment"](LIVE)
    return await reset_spec(cast("Client", server), KEY, live, DESIRED)


@pytest.mark.parametrize("moves", [0, 1, 3])
async def test_a_reset_leaves_no_owner_although_others_write(moves: int) -> None:
    server = FakeApiServer(moves)

    assert await reset(server)
    assert names.RESET_MANAGER not in server.managers
    assert names.FIELD_MANAGER in server.managers


async def test_a_reset_stands_although_its_owner_cannot_be_removed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next reset of the same child removes it."""
    server = FakeApiServer(1000)

    assert await reset(server)
    assert f"{names.RESET_MANAGER} still owns fields" in caplog.text
