"""Renders the evidence of an action as one text, and keeps the last ten texts in a ConfigMap.

An action destroys information: a replaced pod takes its logs with it. So the evidence is stored
before the action, in the order in which an engineer on call needs it: the action and its reason,
the pod, its Events, the last lines of its logs, and the changes in the revision.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final

from selfhealing.api.healing_status import MAX_HISTORY, HealingAction
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.cache.views import AppKey
from selfhealing.evidence.format import (
    MAX_LOGS,
    LogSource,
    format_events,
    format_pod,
    format_usage,
    one_line,
)
from selfhealing.evidence.redaction import (
    Checkpoint,
    Redactor,
    strip_control_characters,
)
from selfhealing.evidence.template_diff import diff_templates

Json = Mapping[str, Any]

MAX_BYTES: Final = 16 * 1024
"""The largest size of one text, in bytes."""

_MISSING_LIMIT: Final = 1024
_USAGE_LIMIT: Final = 512
_POD_LIMIT: Final = 3072
_EVENTS_LIMIT: Final = 2560
_DIFF_LIMIT: Final = 2560
"""The largest sizes of these sections, in bytes; the logs get the rest of MAX_BYTES."""
_MESSAGE_LIMIT: Final = 3072
"""The largest size of an action's message in bytes: 1024 characters of three bytes each."""
_TRUNCATED: Final = "[…]"
"""The line that marks omitted text."""
_QUOTE: Final = "| "
"""What begins each line of a log."""
MAX_LINES: Final = 1000
LOG_LIMIT: Final = 16 * 1024
LINE_LIMIT: Final = 4096
"""Lines and characters of a log, and characters of a line, that are redacted: more than are kept of
an ordinary log."""

_KEY_PATTERN: Final = compile_pattern(r"(\d{1,10})-[a-z-]+\.txt")
_CAMEL_BOUNDARY: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class ContainerLog:
    """The last lines of a container's log, unredacted."""

    source: LogSource
    text: str


@dataclass(frozen=True, slots=True)
class EvidenceBundle:
    """Everything that was collected before an action.

    Attributes:
        app: the app.
        action: the action.
        collected_at: when the evidence was collected.
        pod: the pod as the API server returns it.
        events: its Events as the API server returns them.
        logs: the logs, the most useful first.
        desired_template: the pod template of the desired revision.
        stable_template: the pod template of the stable revision.
        usage: the usage of each container, as in a PodMetrics.
        missing: what could not be collected, and why.
        known_values: secret values of the app, the longest first; they are not kept.
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
    known_values: Sequence[str] = field(default=(), repr=False)


def config_map_name(app_name: str) -> str:
    """The name of the ConfigMap that holds the evidence of an app."""
    return f"{app_name}-evidence"


def evidence_key(action: HealingAction) -> str:
    """The ConfigMap key of an action's evidence: "12-raise-memory.txt"."""
    return f"{action.id}-{_CAMEL_BOUNDARY.sub('-', action.remediation).lower()}.txt"


def repeated_evidence_key(action: HealingAction) -> str:
    """The key if somebody else may have written the other one: "12-raise-memory-again.txt"."""
    return f"{evidence_key(action).removesuffix('.txt')}-again.txt"


def is_evidence_of(action: HealingAction, text: str) -> bool:
    """Whether ``text`` says that it is the evidence of this action, not of one with the same id.

    The ids restart at 1 when the status of an app is lost. Anybody can write such a text.
    """
    return text.startswith(_headline(action) + "\n")


def build_retention_patch(
    action: HealingAction, text: str, existing_keys: Iterable[str], *, is_repeated: bool = False
) -> dict[str, str | None]:
    """Build the merge patch of the ConfigMap's data that adds ``text`` and keeps nine older texts.

    The patch removes existing keys whose id is older than the ten entries of the history. It also
    removes keys with the same or a higher id: they are from before the ids restarted. Ten texts of
    at most 16 KiB are 160 KiB, 320 KiB if each action has a repeated one; a ConfigMap can hold
    1 MiB. Keys of another form are not changed.

    Args:
        action: the action.
        text: its evidence.
        existing_keys: the keys that there are.
        is_repeated: there is a text under its key already, which stays.
    """
    new_key = repeated_evidence_key(action) if is_repeated else evidence_key(action)
    kept_keys = {new_key, evidence_key(action)}
    kept_ids = range(action.id - MAX_HISTORY + 1, action.id)
    stale_keys = [
        name
        for name in sorted(existing_keys)
        if (match := _KEY_PATTERN.fullmatch(name))
        and int(match[1]) not in kept_ids
        and name not in kept_keys
    ]
    return {**dict.fromkeys(stale_keys), new_key: text}


def render_evidence(bundle: EvidenceBundle, check: Checkpoint | None = None) -> str:
    """Render the evidence in at most MAX_BYTES bytes; everything like a secret is redacted.

    The header is never cut. Logs lose their first lines, and the oldest Events are omitted.

    Args:
        bundle: what was collected.
        check: is called again and again; its errors end the work.
    """
    redactor = Redactor(bundle.known_values, check) if check else Redactor(bundle.known_values)
    sections = [_header(bundle, redactor)]
    if bundle.missing:
        missing = "\n".join(f"- {one_line(gap, redactor)}" for gap in bundle.missing)
        sections.append(_section("Missing", _keep_head(missing, _MISSING_LIMIT)))
    if bundle.pod is not None:
        name = bundle.pod["metadata"]["name"]
        sections.append(
            _section(f"Pod {name}", _keep_head(format_pod(bundle.pod, redactor), _POD_LIMIT))
        )
    if bundle.usage:
        sections.append(
            _section("CPU and memory usage", _keep_head(format_usage(bundle.usage), _USAGE_LIMIT))
        )
    if bundle.events:
        sections.append(
            _section("Events", _keep_tail(format_events(bundle.events, redactor), _EVENTS_LIMIT))
        )
    difference = ""
    if bundle.desired_template is not None and bundle.stable_template is not None:
        text = diff_templates(bundle.stable_template, bundle.desired_template, redactor)
        difference = _section(
            "New in this revision", _keep_head(text or "no difference", _DIFF_LIMIT)
        )
    remaining = MAX_BYTES - _byte_size("".join(sections)) - _byte_size(difference)
    logs = _format_logs(bundle.logs[:MAX_LOGS], remaining, redactor)
    return "".join((*sections, *logs, difference))


def without_details(bundle: EvidenceBundle, reason: str) -> EvidenceBundle:
    """Keep the header of a bundle, and what it lacks, where the rest cannot be rendered."""
    return EvidenceBundle(
        app=bundle.app,
        action=bundle.action,
        collected_at=bundle.collected_at,
        missing=(*bundle.missing, reason),
        known_values=bundle.known_values,
    )


def _headline(action: HealingAction) -> str:
    return f"Action {action.id}: {action.remediation}, decided {_format_time(action.at)}"


def _header(bundle: EvidenceBundle, redactor: Redactor) -> str:
    action = bundle.action
    uid = f" (uid {action.uid})" if action.uid else ""
    reason = _keep_head(redactor.redact_line(action.message), _MESSAGE_LIMIT)
    lines = (
        _headline(action),
        f"app:       {bundle.app}",
        f"diagnosis: {action.diagnosis}",
        f"target:    {action.target or 'the app'}{uid}",
        f"reason:    {reason or 'not given'}",
        f"collected: {_format_time(bundle.collected_at)}, before the action; secrets are redacted",
    )
    return "\n".join(lines) + "\n"


def _format_logs(logs: Sequence[ContainerLog], remaining: int, redactor: Redactor) -> list[str]:
    """Format the ends of the logs in ``remaining`` bytes.

    The bytes are shared equally, and what a short log does not need goes to the longer ones. The
    order of the logs stays.
    """
    texts = [(_log_title(log.source), _format_log(log.text, redactor)) for log in logs]
    sections = [""] * len(texts)
    by_size = sorted(range(len(texts)), key=lambda index: _byte_size(texts[index][1]))
    for logs_left, index in zip(range(len(texts), 0, -1), by_size, strict=True):
        title, text = texts[index]
        frame = _byte_size(_section(title, ""))
        sections[index] = _section(
            title, _keep_last_lines(text, remaining // logs_left - frame) or "(empty)"
        )
        remaining -= _byte_size(sections[index])
    return sections


def _log_title(source: LogSource) -> str:
    run = "the run before its last restart" if source.previous else "its current or last run"
    return f"Log of the container {source.container}, {run}: the last lines"


def _format_log(text: str, redactor: Redactor) -> str:
    """Redact the last lines of a log, and quote each line: it may look like a heading."""
    lines: list[str] = []
    left = LOG_LIMIT
    for line in reversed(text.rsplit("\n", MAX_LINES)[-MAX_LINES:]):
        lines.append(_cut_line(line))
        left -= len(lines[-1])
        if left < 0:
            break
    clean = strip_control_characters("\n".join(reversed(lines)))
    redacted = redactor.redact(clean).strip("\n")
    return "\n".join(f"{_QUOTE}{line}" for line in redacted.split("\n")) if redacted else ""


def _cut_line(line: str) -> str:
    """Cut a line to LINE_LIMIT characters, before a word that may be a part of a secret."""
    if len(line) <= LINE_LIMIT:
        return line
    return f"{line[:LINE_LIMIT].rpartition(' ')[0]} {_TRUNCATED}".lstrip()


def _section(title: str, text: str) -> str:
    """Put a heading over a text, in which nothing looks like a heading."""
    body = text.replace("\n== ", "\n == ")
    return f"\n== {title} ==\n{' ' if body.startswith('== ') else ''}{body}\n"


def _keep_head(text: str, limit: int) -> str:
    """Keep the beginning of ``text``: at most ``limit`` bytes, in whole lines if possible."""
    data = text.encode()
    if len(data) <= limit:
        return text
    start = data[: limit - _byte_size(_TRUNCATED) - 1].decode(errors="ignore")
    return (start.rpartition("\n")[0] or start) + "\n" + _TRUNCATED


def _keep_tail(text: str, limit: int) -> str:
    """Keep the end of ``text``: at most ``limit`` bytes, in whole lines if possible."""
    data = text.encode()
    if len(data) <= limit:
        return text
    end = data[len(data) - limit + _byte_size(_TRUNCATED) + 1 :].decode(errors="ignore")
    return _TRUNCATED + "\n" + (end.partition("\n")[2] or end)


def _keep_last_lines(text: str, limit: int) -> str:
    """Keep the last quoted lines of ``text`` in ``limit`` bytes; of one long line, its end."""
    if _byte_size(text) <= limit:
        return text
    lines = text.split("\n")
    sizes = accumulate(_byte_size(line) + 1 for line in reversed(lines))
    count = sum(size <= limit - _byte_size(_TRUNCATED) - 1 for size in sizes)
    kept = lines[len(lines) - count :]
    if not kept:
        size = limit - _byte_size(f"{_TRUNCATED}\n{_QUOTE}")
        end = text.encode()[-size:] if size > 0 else b""
        kept = [_QUOTE + end.decode(errors="ignore").rpartition("\n")[2]]
    return "\n".join((_TRUNCATED, *kept))


def _byte_size(text: str) -> int:
    return len(text.encode())


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
