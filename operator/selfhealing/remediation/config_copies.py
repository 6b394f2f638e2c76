"""The immutable copies of the ConfigMaps that a stable revision reads.

A rollback brings back the pod template, which refers to ConfigMaps by name. With a copy of each of
them it brings back their values, too. Whoever may write ConfigMaps may write anything there, so a
copy is used only if its content leads to the config hash of the stable revision's pod template,
which the revision in the status covers.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from selfhealing.api import names
from selfhealing.api.config_refs import CONFIG_MAP, ConfigRef
from selfhealing.cache.config_digests import copy_digests
from selfhealing.cache.parse import has_owner
from selfhealing.render.meta import Owner, build_metadata
from selfhealing.render.references import hash_config_digests

Json = Mapping[str, Any]

MAX_COPIES: Final = 20
"""ConfigMaps of a revision that are copied. A revision that reads more has no copies."""

MAX_GENERATIONS: Final = 2
"""Contents of the same ConfigMaps that are kept: of the stable revision and of the one before."""

_MAX_DIGESTS_LENGTH: Final = 64 * 1024
"""Characters of the stored digests that are read."""

_CONTENT_FIELDS: Final = ("data", "binaryData")


class ConfigCopy(NamedTuple):
    """A copy that exists: of which ConfigMap, and for which config hash."""

    name: str
    uid: str
    source: str
    config_hash: str
    created: str


def copy_name(app: str, source: str, config_hash: str) -> str:
    """Return the name of the copy of the ConfigMap ``source``."""
    digest = hashlib.sha256(orjson.dumps([source, config_hash])).hexdigest()
    return f"{app}-config-{digest[:16]}"


def copy_labels(app: str) -> dict[str, str]:
    """Return the label of the copies of an app, beside those of all of its objects."""
    return {names.LABEL_CONFIG_COPY: app}


def build_config_copy(
    owner: Owner, source: Json, config_hash: str, digests: Mapping[ConfigRef, str]
) -> dict[str, Any]:
    """Return the ConfigMap that keeps the content of another one.

    Args:
        owner: the app.
        source: the ConfigMap that is copied.
        config_hash: the hash of all digests.
        digests: the digests of all ConfigMaps and Secrets that the pods read.
    """
    source_name = source["metadata"]["name"]
    metadata = build_metadata(
        owner,
        {
            names.ANNOTATION_CONFIG_SOURCE: source_name,
            names.ANNOTATION_CONFIG_HASH: config_hash,
            names.ANNOTATION_CONFIG_DIGESTS: orjson.dumps(
                sorted((*reference, digest) for reference, digest in digests.items())
            ).decode(),
        },
    )
    metadata["labels"] |= copy_labels(owner.name)
    return {
        "apiVersion": "v1",
        "kind": CONFIG_MAP,
        "metadata": {**metadata, "name": copy_name(owner.name, source_name, config_hash)},
        "immutable": True,
        **{field: source[field] for field in _CONTENT_FIELDS if source.get(field)},
    }


def parse_config_copy(owner: Owner, raw: Json) -> ConfigCopy | None:
    """Return the copy that a ConfigMap is, by its metadata; None if it is no copy of the app."""
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    source = annotations.get(names.ANNOTATION_CONFIG_SOURCE, "")
    config_hash = annotations.get(names.ANNOTATION_CONFIG_HASH, "")
    has_name_of_copy = metadata["name"] == copy_name(owner.name, source, config_hash)
    if not has_name_of_copy or not has_owner(metadata, owner.uid):
        return None
    created = metadata.get("creationTimestamp") or ""
    return ConfigCopy(metadata["name"], metadata["uid"], source, config_hash, created)


def find_usable_copies(
    owner: Owner, config_maps: Iterable[Json], config_hash: str
) -> dict[str, str]:
    """Return the names of the copies for a config hash, by the name of the ConfigMap.

    Only copies whose content leads to that hash are usable.
    """
    return {
        copy.source: copy.name
        for raw in config_maps
        if (copy := parse_config_copy(owner, raw)) is not None
        and copy.config_hash == config_hash
        and _has_proven_content(raw, copy)
    }


def select_expired_copies(copies: Iterable[ConfigCopy], config_hash: str) -> list[ConfigCopy]:
    """Return the copies that are of none of the latest contents, of which ``config_hash`` is one.

    Args:
        copies: the copies of an app.
        config_hash: the config hash of the revision that has become stable.
    """
    created: dict[str, str] = {}
    copies = list(copies)
    for copy in copies:
        created[copy.config_hash] = max(copy.created, created.get(copy.config_hash, ""))
    others = sorted((when, other) for other, when in created.items() if other != config_hash)
    kept = {config_hash, *(other for _, other in others[len(others) - MAX_GENERATIONS + 1 :])}
    return [copy for copy in copies if copy.config_hash not in kept]


def _has_proven_content(raw: Json, copy: ConfigCopy) -> bool:
    digests = _parse_digests(raw["metadata"]["annotations"].get(names.ANNOTATION_CONFIG_DIGESTS))
    return (
        raw.get("immutable") is True
        and digests.get(ConfigRef(CONFIG_MAP, copy.source)) in copy_digests(raw)
        and hash_config_digests(digests) == copy.config_hash
    )


def _parse_digests(text: str | None) -> dict[ConfigRef, str]:
    """Parse the stored digests; empty for anything else."""
    try:
        parts = orjson.loads((text or "")[:_MAX_DIGESTS_LENGTH])
        return {ConfigRef(str(kind), str(name)): str(digest) for kind, name, digest in parts}
    except (TypeError, ValueError):
        return {}
