"""By which state of their ConfigMaps and Secrets the pods are to run: a mark in their template."""

from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.config import ABSENT
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.cache.snapshot import Facts
from selfhealing.render.references import mark, required


def config_mark(facts: Facts, spec: SelfHealingAppSpec) -> str:
    """The mark that the pod template is to carry; empty for none.

    While something is missing that no pod can start without, the mark stays as it is: new pods
    would wait for it in vain, in place of those that run. So a Secret may be deleted and made anew.
    """
    lost = {reference for reference, digest in facts.config.items() if digest == ABSENT}
    if not lost.isdisjoint(required(spec)):
        return _live(facts) or mark(facts.config)
    return mark(facts.config)


def _live(facts: Facts) -> str:
    """The mark in the template of the Deployment that there is."""
    if facts.deployment is None:
        return ""
    document: dict[str, Any] = orjson.loads(facts.deployment.document)
    meta = (document["spec"].get("template") or {}).get("metadata") or {}
    found: str = (meta.get("annotations") or {}).get(names.ANNOTATION_CONFIG, "")
    return found
