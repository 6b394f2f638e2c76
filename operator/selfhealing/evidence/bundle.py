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
from selfhealing.evidence.format import MOST, Source, describe, measured, short, tell
from selfhealing.evidence.redaction import plain, redact
from selfhealing.evidence.template_diff import template_diff

Json = Mapping[str, Any]

LIMIT: Final = 16 * 1024
"""Bytes of one text."""

_GAPS_LIMIT: Final = 1024
_USE_LIMIT: Final = 512
_POD_LIMIT: Final = 3072
_EVENTS_LIMIT: Final = 2560
_DIFF_LIMIT: Final = 2560
"""Bytes of these parts; what they leave of LIMIT is the logs'."""
_MESSAGE_LIMIT: Final = 3072
"""Bytes of the reason that an action gives: its 1024 letters take no more in any alphabet."""
_CUT: Final = "[…]"
"""Stands in a line of its own where something is left out."""

_KEY: Final = re.compile(r"(\d{1,10})-[a-z-]+\.txt")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of a container's log, as they were read."""

    source: Source
    text: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """All that was found before an action.

    ``pod`` and ``events`` are raw objects, ``logs`` the most telling first; ``wanted`` and ``kept``
    are pod templates; ``use`` is what each container was measured to use, as in a PodMetrics;
    ``gaps`` says what could not be had, and why.
    """

    app: AppKey
    action: HealingAction
    taken: datetime
    pod: Json | None = None
    events: Sequence[Json] = ()
    logs: Sequence[Log] = ()
    wanted: Json | None = None
    kept: Json | None = None
    use: Sequence[Json] = ()
    gaps: Sequence[str] = ()


def config_map(app: str) -> str:
    """The name of the ConfigMap that keeps the evidence of the app ``app``."""
    return f"{app}-evidence"


def key(action: HealingAction) -> str:
    """Under which key the evidence of an action is kept: "12-raise-memory.txt"."""
    return f"{action.id}-{_CAMEL.sub('-', action.remedy).lower()}.txt"


def is_of(action: HealingAction, text: str) -> bool:
    """Whether ``text`` is the evidence of this action, and not of one that had its id before.

    Ids begin anew where the status of an app is lost.
    """
    return text.startswith(_headline(action) + "\n")


def update(action: HealingAction, text: str, present: Iterable[str]) -> dict[str, str | None]:
    """What is to be merged into the ConfigMap's data, so that it keeps ``text`` and nine others.

    Of the keys that are ``present`` those go whose ids the history, ten entries long, does not name
    any more, and those of the same or of a later id: they are from before the ids began anew. So
    no two keys have the same id, all are of the last ten ids, and a text has at most 16 KiB: that
    makes 160 KiB, of the 1 MiB that a ConfigMap can hold. A key of any other form is somebody
    else's and stays.
    """
    mine = key(action)
    kept = range(action.id - MAX_HISTORY + 1, action.id)
    old = [
        name
        for name in sorted(present)
        if (match := _KEY.fullmatch(name)) and int(match[1]) not in kept and name != mine
    ]
    return {**dict.fromkeys(old), mine: text}


def write(found: Exhibit) -> str:
    """The text of what was found: at most LIMIT bytes, and nothing in it that looks like a secret.

    The header is always whole. Of the logs the beginnings are cut, of the Events the oldest.
    """
    parts = [_header(found)]
    if found.gaps:
        gaps = "\n".join(f"- {short(gap)}" for gap in found.gaps)
        parts.append(_part("What could not be had", _head(gaps, _GAPS_LIMIT)))
    if found.pod is not None:
        name = found.pod["metadata"]["name"]
        parts.append(_part(f"Pod {name}", _head(describe(found.pod), _POD_LIMIT)))
    if found.use:
        parts.append(_part("Use of CPU and memory", _head(measured(found.use), _USE_LIMIT)))
    if found.events:
        parts.append(_part("Events", _tail(tell(found.events), _EVENTS_LIMIT)))
    difference = ""
    if found.wanted is not None and found.kept is not None:
        text = template_diff(found.kept, found.wanted) or "no difference"
        difference = _part("New in this version", _head(text, _DIFF_LIMIT))
    room = LIMIT - _size("".join(parts)) - _size(difference)
    return "".join((*parts, *_logs(found.logs[:MOST], room), difference))


def _headline(action: HealingAction) -> str:
    return f"Action {action.id}: {action.remedy}, decided {_time(action.at)}"


def _header(found: Exhibit) -> str:
    action = found.action
    uid = f" (uid {action.uid})" if action.uid else ""
    reason = _head(redact(" ".join(plain(action.message).split())), _MESSAGE_LIMIT)
    lines = (
        _headline(action),
        f"app:    {found.app}",
        f"for:    {action.diagnosis}",
        f"target: {action.target or 'the app'}{uid}",
        f"why:    {reason or 'not said'}",
        f"seen:   {_time(found.taken)}, before anything was done; what looks secret is masked",
    )
    return "\n".join(lines) + "\n"


def _logs(logs: Sequence[Log], room: int) -> list[str]:
    """As much of each log's end as there is room for; what one does not need is the next one's.

    Those that need the least are given it first, but stand in the order in which they came.
    """
    texts = [(_title(log.source), redact(plain(log.text)).strip("\n")) for log in logs]
    parts = [""] * len(texts)
    by_size = sorted(range(len(texts)), key=lambda place: _size(texts[place][1]))
    for others, place in zip(range(len(texts), 0, -1), by_size, strict=True):
        title, text = texts[place]
        frame = _size(_part(title, ""))
        parts[place] = _part(title, _tail(text or "(empty)", room // others - frame))
        room -= _size(parts[place])
    return parts


def _title(source: Source) -> str:
    run = "the run before its last restart" if source.previous else "its present or last run"
    return f"Log of the container {source.container}, {run}: the last lines"


def _part(title: str, text: str) -> str:
    return f"\n== {title} ==\n{text}\n"


def _head(text: str, limit: int) -> str:
    """The beginning of ``text``: at most ``limit`` bytes, in whole lines where there are any."""
    data = text.encode()
    if len(data) <= limit:
        return text
    start = data[: limit - _size(_CUT) - 1].decode(errors="ignore")
    return (start.rpartition("\n")[0] or start) + "\n" + _CUT


def _tail(text: str, limit: int) -> str:
    """The end of ``text``: at most ``limit`` bytes, in whole lines where there are any."""
    data = text.encode()
    if len(data) <= limit:
        return text
    end = data[len(data) - limit + _size(_CUT) + 1 :].decode(errors="ignore")
    return _CUT + "\n" + (end.partition("\n")[2] or end)


def _size(text: str) -> int:
    return len(text.encode())


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
