"""Explains an app in plain words: what is wrong, whose fault, what comes next, what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    DiagnosisStatus,
    HealingStatus,
)
from selfhealing.api.status import Phase
from selfhealing.plugin.view.actions import find_proposal
from selfhealing.plugin.view.explain_texts import (
    BLOCKED_REASONS,
    CAUSES,
    CONFIDENCES,
    DIAGNOSES,
    HEADINGS,
    MODES,
    PHRASES,
    REMEDIATIONS,
)
from selfhealing.plugin.view.language import Language
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import AppModel
from selfhealing.plugin.view.overrides import list_overrides
from selfhealing.plugin.view.text import Line, Part, format_span, line, sign

_NO_TIME: Final = timedelta(0)
_FOREIGN_EDIT: Final = "ForeignEdit"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an explanation: a heading and sentences."""

    heading: str
    sentences: tuple[str, ...]


def explain_app(app: AppModel, language: Language = Language.EN) -> tuple[Section, ...]:
    """Explain an app; sections without sentences are left out."""
    explainer = _Explainer(app, language)
    sections = (
        ("state", explainer.describe_state()),
        ("problem", explainer.describe_problems()),
        ("cause", explainer.describe_causes()),
        ("next", explainer.describe_next()),
        ("advice", explainer.advise()),
        ("evidence", explainer.list_evidence()),
    )
    made = (Section(HEADINGS[key].format(language), tuple(found)) for key, found in sections)
    return tuple(section for section in made if section.sentences)


def format_explanation(app: AppModel, sections: tuple[Section, ...]) -> list[Line]:
    """Return an explanation as lines."""
    lines = [line(sign(app.level), Part(str(app.key), app.level))]
    for section in sections:
        lines += [line(Part("")), line(Part(section.heading, is_faint=True))]
        lines += [line(f"  {sentence}") for sentence in section.sentences]
    return lines


class _Explainer:
    """Makes the sentences of one app in one language."""

    def __init__(self, app: AppModel, language: Language) -> None:
        self._app = app
        self._language = language

    def describe_state(self) -> Iterator[str]:
        """Say how the app is."""
        app = self._app
        ready = app.find_condition("Ready")
        reason = f" ({ready.reason})" if ready is not None else ""
        message = app.status.message or (self._say("well") if app.level is Level.OK else "")
        yield f"{app.phase}{reason}{': ' if message else ''}{message}"
        if not app.current:
            yield self._say("outdated")
        for condition in app.status.conditions:
            if condition.type == "Reconciled" and condition.status == "False":
                yield self._say(
                    "condition",
                    condition.type,
                    condition.status,
                    condition.reason,
                    condition.message,
                )

    def describe_problems(self) -> Iterator[str]:
        """Say what is wrong."""
        for diagnosis in self._diagnoses():
            texts = DIAGNOSES.get(diagnosis.type)
            meaning = texts.meaning.format(self._language) if texts else diagnosis.message
            lasted = self._since(diagnosis)
            yield self._say("since", diagnosis.type, lasted, meaning)
            if diagnosis.message:
                yield self._say("shown", diagnosis.message)

    def describe_causes(self) -> Iterator[str]:
        """Say whose fault it is, how sure that is, and how it was found."""
        for diagnosis in self._diagnoses():
            cause, confidence = CAUSES.get(diagnosis.cause), CONFIDENCES.get(diagnosis.confidence)
            yield self._say(
                "cause",
                diagnosis.type,
                cause.format(self._language) if cause else diagnosis.cause,
                confidence.format(self._language) if confidence else diagnosis.confidence,
            )
            if diagnosis.comparison:
                yield self._say("comparison", diagnosis.comparison)

    def describe_next(self) -> Iterator[str]:
        """Say what the operator does now and later, and when."""
        record = self._app.healing
        if record is None:
            return
        if (mode := MODES.get(record.mode)) is not None:
            yield self._say("mode", record.mode, mode.format(self._language))
        yield from self._describe_actions(record)
        for override in list_overrides(record, self._language):
            yield self._say("override", override.text, override.end)
        if record.diagnoses:
            yield self._say("budget", record.budget_left)

    def _describe_actions(self, record: HealingStatus) -> Iterator[str]:
        running = [a for a in record.history if a.outcome is ActionOutcome.IN_PROGRESS]
        for action in running:
            span = format_span(max(self._app.read_at - action.at, _NO_TIME))
            text = REMEDIATIONS[action.remediation].format(self._language)
            yield self._say("running", action.remediation, span, text)
        if (upcoming := record.next_action) is not None:
            text = REMEDIATIONS[upcoming.remediation].format(self._language)
            yield self._say("next", upcoming.remediation, self._when(record), text)
        elif record.diagnoses and not running:
            yield self._say("nothing")
        if record.blocked_reason is not None:
            reason = BLOCKED_REASONS[record.blocked_reason].format(self._language)
            yield self._say("waits", reason)
        if record.cooldown_until is not None and record.cooldown_until > self._app.read_at:
            yield self._say("cooldown", f"{record.cooldown_until:%H:%M:%S}")

    def advise(self) -> Iterator[str]:
        """Say what a person can do, the most urgent first."""
        app, record = self._app, self._app.healing
        name = f"{app.key.name} -n {app.key.namespace}"
        if (proposal := find_proposal(app)) is not None:
            yield self._say("approve", proposal.remediation, name)
        if app.status.phase is Phase.INVALID:
            yield self._say("spec")
        for diagnosis in self._diagnoses():
            if (texts := DIAGNOSES.get(diagnosis.type)) is not None:
                yield texts.advice.format(self._language, name)
                is_edit = diagnosis.cause == _FOREIGN_EDIT
                section = _FOREIGN_EDIT if is_edit else diagnosis.type
                yield self._say("runbook", section)
        if record is not None and record.failed_revision is not None:
            yield self._say("retry", name)
        if record is not None and record.quarantined:
            yield self._say("resume", name)
        if record is not None and record.blocked_reason is BlockedReason.ROLLOUT_PAUSED:
            yield self._say("unpause-rollout", name)
        if app.paused:
            yield self._say("unpause", name)

    def list_evidence(self) -> Iterator[str]:
        """Say where the evidence is."""
        app = self._app
        last = app.status.restarts.last if app.status.restarts else None
        if last is not None and last.at is not None:
            code = "" if last.exit_code is None else f", exit code {last.exit_code}"
            span = format_span(max(app.read_at - last.at, _NO_TIME))
            yield self._say("restart", last.pod, last.container, last.reason, code, span)
        stored = f"{app.key.name}-evidence -n {app.key.namespace}"
        for action in app.healing.history if app.healing is not None else ():
            if action.evidence is not None:
                yield self._say("saved", action.remediation, action.id, stored, action.evidence)

    def _diagnoses(self) -> tuple[DiagnosisStatus, ...]:
        return tuple(self._app.healing.diagnoses) if self._app.healing is not None else ()

    def _since(self, diagnosis: DiagnosisStatus) -> str:
        since = diagnosis.since or self._app.read_at
        return format_span(max(self._app.read_at - since, _NO_TIME))

    def _when(self, record: HealingStatus) -> str:
        due = record.next_action.not_before if record.next_action is not None else None
        if due is None or due <= self._app.read_at:
            return self._say("soon")
        return self._say("at", f"{due:%H:%M:%S}", format_span(due - self._app.read_at))

    def _say(self, phrase: str, *values: object) -> str:
        return PHRASES[phrase].format(self._language, *values)
