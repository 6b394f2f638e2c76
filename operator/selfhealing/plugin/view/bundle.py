"""Makes the files of an archive for a bug report, without what may be a secret.

Values of environment variables are masked, and so is everything in logs and objects that is such a
value or looks like a secret (``evidence.redaction``). Patterns are best effort, so the command says
that a person should look before the archive is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from selfhealing.api.text import clean_text
from selfhealing.evidence.known_values import build_known_values, find_env_values
from selfhealing.evidence.redaction import Redactor
from selfhealing.evidence.template_diff import mask_object
from selfhealing.plugin.view.explain import explain_app, format_explanation
from selfhealing.plugin.view.history import build_history_page, format_history
from selfhealing.plugin.view.model import AppModel
from selfhealing.plugin.view.objects import AppObjects
from selfhealing.plugin.view.text import to_plain_text
from selfhealing.plugin.view.tree import format_app

Json = dict[str, Any]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that repeats the whole object as text."""


def build_files(
    objects: AppObjects,
    app: AppModel,
    logs: Mapping[str, str],
    others: Mapping[str, Sequence[Json]],
) -> dict[str, str]:
    """Make the files of the archive, by their path in it.

    Args:
        objects: the app as it was read.
        app: the model of it.
        logs: logs and other texts, by path.
        others: other objects, such as the operator's, by path.
    """
    redactor = Redactor(build_known_values(_find_secrets(objects)))
    groups: dict[str, Sequence[Json]] = {
        "app.yaml": [objects.app],
        "children.yaml": list(objects.children.values()),
        "replicasets.yaml": objects.replica_sets,
        "pods.yaml": objects.pods,
        "controllerrevisions.yaml": objects.controller_revisions,
        "events.yaml": objects.events,
        **others,
    }
    texts = {
        "status.txt": to_plain_text(format_app(app)),
        "explain.txt": to_plain_text(format_explanation(app, explain_app(app))),
        "history.txt": to_plain_text(format_history(app)),
        "history.html": build_history_page(app),
        "gaps.txt": "".join(f"{gap}\n" for gap in app.gaps),
        **{path: clean_text(text) for path, text in logs.items()},
    }
    return {
        **{path: redactor.redact(text) for path, text in texts.items() if text},
        **{path: _to_yaml(found, redactor) for path, found in groups.items() if found},
    }


def _find_secrets(objects: AppObjects) -> Iterator[str]:
    """Yield the literal values of variables that may be secrets."""
    yield from find_env_values({"containers": [objects.app.get("spec") or {}]})
    spec = objects.app.get("spec") or {}
    yield from find_env_values(
        {"containers": spec.get("sidecars"), "initContainers": spec.get("initContainers")}
    )
    for raw in objects.pods:
        yield from find_env_values(raw.get("spec") or {})
    owners = (*objects.children.values(), *objects.replica_sets)
    templates = [(raw.get("spec") or {}).get("template") for raw in owners]
    templates += [(raw.get("data") or {}).get("template") for raw in objects.controller_revisions]
    for template in templates:
        yield from find_env_values((template or {}).get("spec") or {})


def _to_yaml(found: Sequence[Json], redactor: Redactor) -> str:
    masked = [mask_object(_without_repetition(raw), redactor) for raw in found]
    text: str = yaml.safe_dump_all(masked, sort_keys=False, width=1 << 20)
    return text


def _without_repetition(raw: Json) -> Json:
    """Return an object without what repeats its values: managed fields, and its text."""
    meta = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    if annotations := meta.get("annotations"):
        meta["annotations"] = {k: v for k, v in annotations.items() if k != LAST_APPLIED}
    return {**raw, "metadata": meta}
