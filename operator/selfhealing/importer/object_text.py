"""Reads objects from texts of YAML or JSON.

It imports little: commands that only read files need no more of the importer.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
import yaml

from selfhealing.importer.json_values import Json

MAX_OBJECTS: Final = 10_000
"""More objects are refused: somebody gave a whole cluster's backup."""

MAX_PARTS: Final = 1_000_000
"""Fields and items of a document, each alias counted as what it stands for."""


class _Loader(yaml.SafeLoader):
    """Reads a time as a string, as Kubernetes does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class ImportRefusedError(Exception):
    """Nothing can be imported; the message says what to write instead."""


def read_objects(text: str, source: str) -> list[Json]:
    """Return the objects of a YAML or JSON text of one or many documents; Lists are taken apart.

    Args:
        text: the text.
        source: the name of the file, for messages.

    Raises:
        ImportRefusedError: it is no YAML, or no manifest.
    """
    try:
        # What JSON cannot say is refused: sets, bytes, keys that are no strings, endless aliases.
        documents = [
            orjson.loads(orjson.dumps(_require_bounded(document)))
            for document in yaml.load_all(text, _Loader)
        ]
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ImportRefusedError(
            f"{source} is not YAML or JSON ({reason}): of a Helm chart or a kustomization write the"
            " output of `helm template` or `kubectl kustomize`"
        ) from error
    found = list(_flatten(document for document in documents if document is not None))
    if len(found) > MAX_OBJECTS:
        raise ImportRefusedError(f"{source} has more than {MAX_OBJECTS} objects: write fewer files")
    for document in found:
        if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
            raise ImportRefusedError(
                f"{source} has a document without a kind: write manifests of Kubernetes, each with"
                " apiVersion, kind and metadata"
            )
    return found


def _require_bounded(document: Any) -> Any:  # noqa: ANN401 - YAML
    """Return the document, if its aliases do not make more of it than MAX_PARTS parts.

    Raises:
        ValueError: they do.
    """
    counts: dict[int, int] = {}

    def count(part: Any) -> int:  # noqa: ANN401 - YAML
        if not isinstance(part, dict | list):
            return 1
        if id(part) not in counts:
            counts[id(part)] = 0  # of an endless one, which is refused as no JSON
            counts[id(part)] = 1 + sum(
                map(count, part.values() if isinstance(part, dict) else part)
            )
        return counts[id(part)]

    if count(document) > MAX_PARTS:
        raise ValueError(f"its aliases make more than {MAX_PARTS} parts of it")
    return document


def _flatten(documents: Iterable[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, dict) and str(document.get("kind")).endswith("List"):
            yield from document.get("items") or ()
        else:
            yield document
