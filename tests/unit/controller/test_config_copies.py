"""Copies of ConfigMaps: when they are made, which are used, and which are deleted."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from selfhealing.api import names
from selfhealing.api.config_refs import ABSENT_DIGEST, CONFIG_MAP, SECRET, ConfigRef
from selfhealing.cache.config_digests import config_digest
from selfhealing.cache.parse import app_view
from selfhealing.controller.config_copies import CACHE_SECONDS, MAX_LISTED, ConfigCopies
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.config_copies import (
    MAX_COPIES,
    ConfigCopy,
    build_config_copy,
    copy_name,
    find_usable_copies,
    parse_config_copy,
    select_expired_copies,
)
from selfhealing.render.meta import Owner
from selfhealing.render.references import hash_config_digests
from tests.unit import builders
from tests.unit.controller.fake_api_server import FakeApiServer, build_slots, forbidden_error

Json = dict[str, Any]

OWNER = Owner(builders.NAMESPACE, builders.APP, builders.APP_UID)
APP = app_view(builders.app())
SETTINGS = builders.config(data={"LEVEL": "info"}, binaryData={"logo": "AAAA"})
OTHER = builders.config(name="other", data={"a": "b"})


def digests_of(*config_maps: Json, login: str = "") -> dict[ConfigRef, str]:
    """The digests of ConfigMaps, and of a Secret."""
    found = {
        ConfigRef(CONFIG_MAP, raw["metadata"]["name"]): config_digest(raw).digest
        for raw in config_maps
    }
    return found | ({ConfigRef(SECRET, "login"): login} if login else {})


DIGESTS = digests_of(SETTINGS, login="0123")
HASH = hash_config_digests(DIGESTS)
NAME = copy_name(builders.APP, "settings", HASH)


def build_copy(created: str = "") -> Json:
    """The copy, as the API server returns it."""
    copy = build_config_copy(OWNER, deepcopy(SETTINGS), HASH, DIGESTS)
    return {**copy, "metadata": {**copy["metadata"], "uid": "u", "creationTimestamp": created}}


def test_a_copy_has_the_content_and_belongs_to_the_app() -> None:
    """It cannot be changed, and goes with the app."""
    copy = build_copy()

    assert (SETTINGS["data"], SETTINGS["binaryData"]) == (copy["data"], copy["binaryData"])
    assert copy["immutable"] is True
    assert builders.APP_UID == copy["metadata"]["ownerReferences"][0]["uid"]
    assert builders.APP == copy["metadata"]["labels"][names.LABEL_CONFIG_COPY]
    assert {"settings": NAME} == find_usable_copies(OWNER, [copy], HASH)
    assert "binaryData" not in build_config_copy(OWNER, OTHER, HASH, DIGESTS)


def annotate(copy: Json, name: str, value: str) -> None:
    """Change an annotation."""
    copy["metadata"]["annotations"][name] = value


def forge(copy: Json) -> None:
    """Write other content, and the digest of it."""
    copy["data"] = {"LEVEL": "evil"}
    digests = digests_of({**copy, "metadata": SETTINGS["metadata"]}, login="0123")
    forged = build_config_copy(OWNER, SETTINGS, HASH, digests)["metadata"]["annotations"]
    annotate(copy, names.ANNOTATION_CONFIG_DIGESTS, forged[names.ANNOTATION_CONFIG_DIGESTS])


MALICIOUS: dict[str, Callable[[Json], object]] = {
    "other content": lambda copy: copy.update(data={"LEVEL": "evil"}),
    "more content": lambda copy: copy["data"].update(X="evil"),
    "other binary content": lambda copy: copy.update(binaryData={}),
    "can be changed": lambda copy: copy.pop("immutable"),
    "another owner": lambda copy: copy["metadata"].update(ownerReferences=[{"uid": "x"}]),
    "no owner": lambda copy: copy["metadata"].pop("ownerReferences"),
    "another name": lambda copy: copy["metadata"].update(name="web-config-x"),
    "another source": lambda copy: annotate(copy, names.ANNOTATION_CONFIG_SOURCE, "other"),
    "another hash": lambda copy: annotate(copy, names.ANNOTATION_CONFIG_HASH, "0"),
    "no annotations": lambda copy: copy["metadata"].pop("annotations"),
    "no digests": lambda copy: copy["metadata"]["annotations"].pop(names.ANNOTATION_CONFIG_DIGESTS),
    "digests of another kind": lambda copy: annotate(copy, names.ANNOTATION_CONFIG_DIGESTS, "5"),
    "no JSON": lambda copy: annotate(copy, names.ANNOTATION_CONFIG_DIGESTS, "{"),
    "short digests": lambda copy: annotate(copy, names.ANNOTATION_CONFIG_DIGESTS, '[["a"]]'),
    "digests of its content alone": forge,
}


@pytest.mark.parametrize("change", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_a_copy_that_somebody_has_changed_is_not_used(change: Callable[[Json], object]) -> None:
    """Only content that leads to the config hash of the stable revision is mounted."""
    copy = build_copy()
    change(copy)

    assert {} == find_usable_copies(OWNER, [copy], HASH)


def test_a_copy_for_another_hash_is_not_used() -> None:
    """Nor one of another app."""
    assert {} == find_usable_copies(OWNER, [build_copy()], "0")
    assert {} == find_usable_copies(Owner(OWNER.namespace, "api", OWNER.uid), [build_copy()], HASH)
    found = parse_config_copy(OWNER, build_copy())
    assert found is not None
    assert NAME == found.name
    assert parse_config_copy(OWNER, OTHER) is None


def test_two_contents_are_kept() -> None:
    """That of the revision that is stable now, and the latest of the others."""
    copies = [
        ConfigCopy(f"{config_hash}-{source}", "u", source, config_hash, created)
        for config_hash, created in (("a", "1"), ("b", "3"), ("c", "2"), ("now", "0"))
        for source in ("settings", "other")
    ]

    expired = {copy.config_hash for copy in select_expired_copies(copies, "now")}

    assert {"a", "c"} == expired
    assert [] == select_expired_copies([], "now")
    assert [] == select_expired_copies(copies[:2], "now")
    assert {"a"} == {copy.config_hash for copy in select_expired_copies(copies[:6], "c")}


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def list_copies(api_server: FakeApiServer) -> list[str]:
    """The names of the ConfigMaps that are copies."""
    return [name for name in api_server.list_names(CONFIG_MAP) if name.startswith("web-config-")]


async def test_saved_copies_are_found() -> None:
    """They are read once in a while: they do not change."""
    api_server, clock = FakeApiServer(SETTINGS), Clock()
    copies = ConfigCopies(api_server.client, build_slots(), clock)

    await copies.save(APP, HASH, DIGESTS, {})
    await copies.save(APP, HASH, DIGESTS, {})  # after a crash

    assert [NAME] == list_copies(api_server)
    assert {"settings": NAME} == await copies.find(APP, HASH)
    requests = len(api_server.requests)
    assert {"settings": NAME} == await copies.find(APP, HASH)
    assert requests == len(api_server.requests)
    del api_server.objects_by_path[CONFIG_MAP, NAME]
    clock.now += CACHE_SECONDS + 1
    assert {} == await copies.find(APP, HASH)


async def test_copies_of_old_contents_are_deleted() -> None:
    """Objects of others stay, also with the same label."""
    decoy = builders.config(name="decoy", labels={names.LABEL_CONFIG_COPY: builders.APP})
    api_server = FakeApiServer(decoy)
    copies = ConfigCopies(api_server.client, build_slots(), Clock())
    hashes = []
    for level in ("a", "b", "c"):
        settings = {**SETTINGS, "data": {"LEVEL": level}}
        api_server.put_object(settings)
        hashes.append(hash_config_digests(digests_of(settings)))
        await copies.save(APP, hashes[-1], digests_of(settings), {})

    assert 2 == len(list_copies(api_server))
    assert await copies.find(APP, hashes[-1])
    assert "decoy" in api_server.list_names(CONFIG_MAP)


@pytest.mark.parametrize(
    ("config_hash", "digests"),
    [
        ("", {}),
        (hash_config_digests(digests_of(login="1")), digests_of(login="1")),
        ("other", DIGESTS),
        (
            hash_config_digests({ConfigRef(CONFIG_MAP, "settings"): ABSENT_DIGEST}),
            {ConfigRef(CONFIG_MAP, "settings"): ABSENT_DIGEST},
        ),
        (
            hash_config_digests(many := {ConfigRef(CONFIG_MAP, f"c{i}"): "1" for i in range(21)}),
            many,
        ),
    ],
    ids=["nothing", "only Secrets", "changed", "missing", "too many"],
)
async def test_nothing_is_copied(config_hash: str, digests: dict[ConfigRef, str]) -> None:
    """There is nothing to copy, or too much, or it is not what the revision has read."""
    api_server = FakeApiServer(SETTINGS)

    await ConfigCopies(api_server.client, build_slots(), Clock()).save(
        APP, config_hash, digests, {}
    )

    assert [] == api_server.requests
    assert MAX_COPIES < 21


async def test_what_has_changed_meanwhile_is_not_copied() -> None:
    """Nor what is gone."""
    changed = {**deepcopy(SETTINGS), "data": {"LEVEL": "debug"}}
    for objects in ((changed,), ()):
        api_server = FakeApiServer(*objects)

        await ConfigCopies(api_server.client, build_slots(), Clock()).save(APP, HASH, DIGESTS, {})

        assert [] == list_copies(api_server)


@pytest.mark.parametrize("verb", ["create", "list", "get"])
async def test_a_refusal_costs_only_the_copies(verb: str) -> None:
    """A revision becomes stable all the same."""
    api_server = FakeApiServer(SETTINGS)
    api_server.errors[verb] = forbidden_error()
    copies = ConfigCopies(api_server.client, build_slots(), Clock())

    await copies.save(APP, HASH, DIGESTS, {})

    found = await copies.find(APP, HASH)
    assert {} == found


@pytest.mark.parametrize("verb", ["create", "list"])
async def test_an_outage_is_not_a_refusal(verb: str) -> None:
    """The reconcile is repeated."""
    api_server = FakeApiServer(SETTINGS)
    api_server.errors[verb] = UnavailableError(503, "ServiceUnavailable", "no")
    copies = ConfigCopies(api_server.client, build_slots(), Clock())

    with pytest.raises(UnavailableError):
        await copies.save(APP, HASH, DIGESTS, {})
    if verb == "list":
        with pytest.raises(UnavailableError):
            await copies.find(APP, HASH)


async def test_decoys_are_bounded() -> None:
    """Whoever makes thousands of ConfigMaps with the label hides only copies of his namespace."""
    decoys = [
        builders.config(name=f"a{i}", labels={names.LABEL_CONFIG_COPY: builders.APP})
        for i in range(MAX_LISTED)
    ]
    api_server = FakeApiServer(*decoys, build_copy())

    assert {} == await ConfigCopies(api_server.client, build_slots(), Clock()).find(APP, HASH)


async def test_only_what_may_be_a_copy_is_read() -> None:
    """Anybody may give a ConfigMap of a megabyte the label."""
    decoys = [
        builders.config(name=f"a{i}", labels={names.LABEL_CONFIG_COPY: builders.APP})
        for i in range(20)
    ]
    api_server = FakeApiServer(*decoys, build_copy())

    assert {"settings": NAME} == await ConfigCopies(api_server.client, build_slots(), Clock()).find(
        APP, HASH
    )
    assert ["list ConfigMap", f"get ConfigMap/{NAME}"] == api_server.requests
