"""Shows an app as a tree: healing, revisions with their pods, and the other children."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from selfhealing.api.healing_status import ActionOutcome, HealingStatus
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import (
    AppModel,
    ChildModel,
    PodModel,
    RestartModel,
    RevisionModel,
)
from selfhealing.plugin.view.overrides import list_overrides
from selfhealing.plugin.view.text import (
    Line,
    Node,
    Part,
    draw_tree,
    faint,
    format_age,
    format_table,
    line,
    sign,
)

SHOWN_ACTIONS = 3
"""Actions of the record that are shown; ``history`` has all."""


def format_apps(apps: Sequence[AppModel], *, with_namespace: bool) -> list[Line]:
    """Return a table of apps."""
    heading = ("NAMESPACE",) * with_namespace + ("NAME", "STATE", "READY", "RESTARTS", "HEALING")
    rows = [tuple(faint(word) for word in (*heading, "MESSAGE"))]
    for app in apps:
        restarts = app.status.restarts
        cells = (
            *((Part(app.key.namespace),) * with_namespace),
            Part(app.key.name),
            Part(_format_phase(app), app.level),
            Part(app.status.ready or "-"),
            Part(str(restarts.total) if restarts else "-"),
            Part(_format_healing_word(app.healing)),
            Part(app.status.message or ""),
        )
        rows.append(cells)
    return format_table(rows)


def format_app(app: AppModel) -> list[Line]:
    """Return an app as a tree."""
    return [*draw_tree(Node(_app_line(app), tuple(_app_nodes(app)))), *_gap_lines(app)]


def _format_phase(app: AppModel) -> str:
    ready = app.find_condition("Ready")
    reason = f" ({ready.reason})" if ready is not None and ready.reason != "AllPodsReady" else ""
    return f"{app.phase}{reason}{'' if app.current else ', outdated'}"


def _format_healing_word(record: HealingStatus | None) -> str:
    """Say in a word or two what healing does."""
    if record is None:
        return "-"
    if record.quarantined:
        return "quarantined"
    outcomes = {action.outcome: action for action in record.history}
    if running := outcomes.get(ActionOutcome.IN_PROGRESS):
        return f"{running.remediation}…"
    if proposed := outcomes.get(ActionOutcome.PROPOSED):
        return f"{proposed.remediation}?"
    if record.diagnoses and record.blocked_reason is not None:
        return str(record.blocked_reason)
    return "rolled back" if record.failed_revision is not None else str(record.mode)


def _app_line(app: AppModel) -> Line:
    ready = f"{app.status.ready} ready" if app.status.ready else ""
    about = "  ".join(part for part in (ready, app.status.image or "") if part)
    return line(
        sign(app.level),
        Part(f"{app.key}  "),
        Part(_format_phase(app), app.level),
        faint(f"  {about}"),
    )


def _app_nodes(app: AppModel) -> Iterator[Node]:
    if app.deleting:
        yield Node(line(Part("is being deleted", Level.BUSY)))
    if not app.current:
        text = "the operator has not looked at the present spec yet: what follows may be outdated"
        yield Node(line(Part(text, Level.WARNING)))
    if app.status.message:
        yield Node(line(app.status.message))
    if app.status.endpoint:
        yield Node(line(faint("address "), app.status.endpoint))
    if app.healing is not None:
        yield _healing_node(app.healing, app.read_at)
    for child in app.children:
        below: tuple[Node, ...] = ()
        if child.kind in {"Deployment", "Job"} and child.owned:
            below = tuple(_revision_nodes(app))
        yield Node(_child_line(child), below)
    for pod in app.other_pods:
        text = (
            "isolated for inspection" if pod.isolated else "has the app's label, is not the app's"
        )
        yield Node((*_pod_line(pod, app.read_at), Part(f"  {text}", Level.WARNING)))


def _healing_node(record: HealingStatus, now: datetime) -> Node:
    blocked = f", waits: {record.blocked_reason}" if record.blocked_reason is not None else ""
    head = line("healing ", str(record.mode), faint(f", budget {record.budget_left}{blocked}"))
    return Node(head, tuple(Node(each) for each in _healing_lines(record, now)))


def _healing_lines(record: HealingStatus, now: datetime) -> Iterator[Line]:
    for diagnosis in record.diagnoses:
        yield line(
            sign(Level.FAILED),
            Part(diagnosis.type, Level.FAILED),
            faint(f" since {format_age(diagnosis.since, now)}, cause "),
            f"{diagnosis.cause} ({diagnosis.confidence}): {diagnosis.message}",
        )
    if record.quarantined:
        yield line(sign(Level.FAILED), "quarantined: no remediation until resumed or well")
    if (upcoming := record.next_action) is not None:
        when = f" at {upcoming.not_before:%H:%M:%S} UTC" if upcoming.not_before else ""
        yield line(faint("next: "), f"{upcoming.remediation}{when}: {upcoming.message}")
    for override in list_overrides(record):
        yield line(faint("instead of the spec: "), override.text, faint(f", {override.end}"))
    for action in record.history[:SHOWN_ACTIONS]:
        yield line(
            faint(f"{format_age(action.at, now)} ago: "),
            f"{action.remediation} {action.outcome}",
            f" of {action.target}" if action.target else "",
            f": {action.message}" if action.message else "",
        )


def _child_line(child: ChildModel) -> Line:
    return line(sign(child.level), child.kind, faint(f"  {child.state}" if child.state else ""))


def _revision_nodes(app: AppModel) -> Iterator[Node]:
    for revision in app.revisions:
        if revision.in_use or revision.roles:
            pods = tuple(Node(_pod_line(pod, app.read_at)) for pod in revision.pods)
            yield Node(_revision_line(revision, app.read_at), pods)


def _revision_line(revision: RevisionModel, now: datetime) -> Line:
    roles = [*(("current",) if revision.current else ()), *map(str, revision.roles)]
    number = f"revision {revision.number}" if revision.number else revision.kind
    return line(
        f"{number}  {revision.name}",
        faint(f"  {', '.join(revision.images)}"),
        f"  {revision.ready}/{revision.wanted} ready",
        f"  [{', '.join(roles)}]" if roles and revision.kind != "Job" else "",
        faint(f"  {format_age(revision.created, now)}"),
    )


def _pod_line(pod: PodModel, now: datetime) -> Line:
    state = pod.reason or ("ready" if pod.ready else pod.phase)
    return line(
        sign(pod.level),
        pod.name,
        Part(f"  {state}", pod.level),
        faint(f"  {pod.node}" if pod.node else ""),
        faint(f"  {format_age(pod.created, now)}"),
        _format_restarts(pod.restarts, pod.last_restart, now),
        f"  {pod.message}" if pod.message else "",
    )


def _format_restarts(count: int, last: RestartModel | None, now: datetime) -> Part:
    if not count:
        return Part("")
    text = f"  {count} restart{'' if count == 1 else 's'}"
    if last is None:
        return Part(text, Level.WARNING)
    code = "" if last.exit_code is None else f", exit code {last.exit_code}"
    return Part(f"{text} ({last.reason}{code}, {format_age(last.at, now)} ago)", Level.WARNING)


def _gap_lines(app: AppModel) -> list[Line]:
    return [line(sign(Level.WARNING), gap) for gap in app.gaps]
