"""What was found before an action, as one text, and the ConfigMap that keeps the last ten of them.

Healing destroys what tells of an illness: a pod that is replaced takes its log with it. So what
there is to be seen is written down first, in order for a reader whom the pager woke: what is done
and why, the pod, its Events, the last lines of its log, and what is new in the version.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from selfhealing.api.healing_status import MAX_HISTORY, HealingAction
from selfhealing.cache.views import AppKey
from selfhealing.evidence.format import (
    MAX_LOGS,
    LogSource,
    format_events,
    format_pod,
    format_usage,
    one_line,
)
from selfhealing.evidence.redaction import redact, strip_control_characters
from selfhealing.evidence.template_diff import diff_templates

Json = Mapping[str, Any]

MAX_BYTES: Final = 16 * 1024
"""Bytes of one text."""

_MISSING_LIMIT: Final = 1024
_USAGE_LIMIT: Final = 512
_POD_LIMIT: Final = 3072
_EVENTS_LIMIT: Final = 2560
_DIFF_LIMIT: Final = 2560
"""Bytes of these parts; what they leave of LIMIT is the logs'."""
_MESSAGE_LIMIT: Final = 3072
"""Bytes of the reason that an action gives: its 1024 letters take no more in any alphabet."""
_TRUNCATED: Final = "[…]"
"""Stands in a line of its own where something is left out."""

_KEY_PATTERN: Final = re.compile(r"(\d{1,10})-[a-z-]+\.txt")
_CAMEL_BOUNDARY: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class ContainerLog:
    """The last lines of a container's log, as they were read."""

    source: LogSource
    text: str


@dataclass(frozen=True, slots=True)
class EvidenceBundle:
    """All that was found before an action.

    ``pod`` and ``events`` are raw objects, ``logs`` the most telling first; ``wanted`` and ``kept``
    are pod templates; ``use`` is what each container was measured to use, as in a PodMetrics;
    ``gaps`` says what could not be had, and why.
    """

    app: AppKey
    action: HealingAction
    collected_at: datetime
    pod: Json | None = None
    events: Sequence[Json] = ()
    logs: Sequence[ContainerLog] = ()
    desired_template: Json | None = None
    stable_template: Json | None = None
    usage: Sequence[Json] = ()
    missing: Sequence[str] = ()


def config_map_name(app_name: str) -> str:
    """The name of the ConfigMap that keeps the evidence of the app ``app``."""
    return f"{app_name}-evidence"


def evidence_key(action: HealingAction) -> str:
    """Under which key the evidence of an action is kept: "12-raise-memory.txt"."""
    return f"{action.id}-{_CAMEL_BOUNDARY.sub('-', action.remediation).lower()}.txt"


def is_evidence_of(action: HealingAction, text: str) -> bool:
    """Whether ``text`` is the evidence of this action, and not of one that had its id before.

    Ids begin anew where the status of an app is lost.
    """
    return text.startswith(_headline(action) + "\n")


def build_retention_patch(
    action: HealingAction, text: str, existing_keys: Iterable[str]
) -> dict[str, str | None]:
    """What is to be merged into the ConfigMap's data, so that it keeps ``text`` and nine others.

    Of the keys that are ``present`` those go whose ids the history, ten entries long, does not name
    any more, and those of the same or of a later id: they are from before the ids began anew. So
    no two keys have the same id, all are of the last ten ids, and a text has at most 16 KiB: that
    makes 160 KiB, of the 1 MiB that a ConfigMap can hold. A key of any other form is somebody
    else's and stays.
    """
    new_key = evidence_key(action)
    kept_ids = range(action.id - MAX_HISTORY + 1, action.id)
    stale_keys = [
        name
        for name in sorted(existing_keys)
        if (match := _KEY_PATTERN.fullmatch(name))
        and int(match[1]) not in kept_ids
        and name != new_key
    ]
    return {**dict.fromkeys(stale_keys), new_key: text}


def render_evidence(bundle: EvidenceBundle) -> str:
    """The text of what was found: at most LIMIT bytes, and nothing in it that looks like a secret.

    The header is always whole. Of the logs the beginnings are cut, of the Events the oldest.
    """
    sections = [_header(bundle)]
    if bundle.missing:
        missing = "\n".join(f"- {one_line(gap)}" for gap in bundle.missing)
        sections.append(_section("What could not be had", _keep_head(missing, _MISSING_LIMIT)))
    if bundle.pod is not None:
        name = bundle.pod["metadata"]["name"]
        sections.append(_section(f"Pod {name}", _keep_head(format_pod(bundle.pod), _POD_LIMIT)))
    if bundle.usage:
        sections.append(
            _section("Use of CPU and memory", _keep_head(format_usage(bundle.usage), _USAGE_LIMIT))
        )
    if bundle.events:
        sections.append(_section("Events", _keep_tail(format_events(bundle.events), _EVENTS_LIMIT)))
    difference = ""
    if bundle.desired_template is not None and bundle.stable_template is not None:
        text = diff_templates(bundle.stable_template, bundle.desired_template) or "no difference"
        difference = _section("New in this version", _keep_head(text, _DIFF_LIMIT))
    remaining = MAX_BYTES - _byte_size("".join(sections)) - _byte_size(difference)
    return "".join((*sections, *_format_logs(bundle.logs[:MAX_LOGS], remaining), difference))


def _headline(action: HealingAction) -> str:
    return f"Action {action.id}: {action.remediation}, decided {_format_time(action.at)}"


def _header(bundle: EvidenceBundle) -> str:
    action = bundle.action
    uid = f" (uid {action.uid})" if action.uid else ""
    reason = _keep_head(
        redact(" ".join(strip_control_characters(action.message).split())), _MESSAGE_LIMIT
    )
    lines = (
        _headline(action),
        f"app:    {bundle.app}",
        f"for:    {action.diagnosis}",
        f"target: {action.target or 'the app'}{uid}",
        f"why:    {reason or 'not said'}",
        f"seen:   {_format_time(bundle.collected_at)}, before anything was done; what looks secret is masked",
    )
    return "\n".join(lines) + "\n"


def _format_logs(logs: Sequence[ContainerLog], remaining: int) -> list[str]:
    """As much of each log's end as there is room for; what one does not need is the next one's.

    Those that need the least are given it first, but stand in the order in which they came.
    """
    texts = [
        (_log_title(log.source), redact(strip_control_characters(log.text)).strip("\n"))
        for log in logs
    ]
    sections = [""] * len(texts)
    by_size = sorted(range(len(texts)), key=lambda index: _byte_size(texts[index][1]))
    for logs_left, index in zip(range(len(texts), 0, -1), by_size, strict=True):
        title, text = texts[index]
        frame = _byte_size(_section(title, ""))
        sections[index] = _section(
            title, _keep_tail(text or "(empty)", remaining // logs_left - frame)
        )
        remaining -= _byte_size(sections[index])
    return sections


def _log_title(source: LogSource) -> str:
    run = "the run before its last restart" if source.previous else "its present or last run"
    return f"Log of the container {source.container}, {run}: the last lines"


def _section(title: str, text: str) -> str:
    return f"\n== {title} ==\n{text}\n"


def _keep_head(text: str, limit: int) -> str:
    """The beginning of ``text``: at most ``limit`` bytes, in whole lines where there are any."""
    data = text.encode()
    if len(data) <= limit:
        return text
    start = data[: limit - _byte_size(_TRUNCATED) - 1].decode(errors="ignore")
    return (start.rpartition("\n")[0] or start) + "\n" + _TRUNCATED


def _keep_tail(text: str, limit: int) -> str:
    """The end of ``text``: at most ``limit`` bytes, in whole lines where there are any."""
    data = text.encode()
    if len(data) <= limit:
        return text
    end = data[len(data) - limit + _byte_size(_TRUNCATED) + 1 :].decode(errors="ignore")
    return _TRUNCATED + "\n" + (end.partition("\n")[2] or end)


def _byte_size(text: str) -> int:
    return len(text.encode())


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
