"""Inserts the notes that tell a reader to repeat a command. Pure.

`make lab` repeats each command with a time limit (`within`) until its output is as expected. The
note after such a command says so to the reader, and quotes what `make lab` waits for from the real
output on the page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from hack.scenarios.lab.output_compare import mask_random_suffixes
from hack.scenarios.lab.page_parser import Block, Command, Page

_MARK: Final = "> ↻ "
"""The beginning of a note; no other text of a page begins so."""

_NOTE = re.compile(rf"\n^{_MARK}.*\n", re.MULTILINE)
_FENCE_END = "```\n"
_MINUTES_FROM = 120
"""Seconds from which a time limit is given in minutes."""


@dataclass(frozen=True, slots=True)
class NoteLanguage:
    """The texts of the notes in one language.

    Attributes:
        code: the field of ``Until`` with the condition in this language.
        note: the note, with {condition} and {time}.
        shows: the condition, with {snippets} of the expected output.
        same_output: the condition if the output on the page has no snippet.
        seconds: a time, with {number} and {plural}.
        minutes: a time, with {number} and {plural}.
        separator: what stands between two snippets.
    """

    code: Literal["en", "zh"]
    note: str
    shows: str
    same_output: str
    seconds: str
    minutes: str
    separator: str


ENGLISH_NOTES: Final = NoteLanguage(
    code="en",
    note="Repeat this command until {condition}; this takes up to {time}.",
    shows="it shows {snippets}",
    same_output="its output is like the one below",
    seconds="{number} second{plural}",
    minutes="{number} minute{plural}",
    separator=" and ",
)
CHINESE_NOTES: Final = NoteLanguage(
    code="zh",
    note="重复执行这条命令，直到{condition}；最多需要 {time}。",
    shows="显示 {snippets}",
    same_output="输出与下面的相似",
    seconds="{number} 秒",
    minutes="{number} 分钟",
    separator=" 和 ",
)


def insert_repeat_notes(
    english: Page, text: str, blocks: tuple[Block, ...], language: NoteLanguage
) -> str:
    """Return a page with a note after each command that `make lab` repeats.

    Args:
        english: the English page.
        text: the page in ``language`` without notes, see ``remove_repeat_notes``.
        blocks: the blocks of ``text``: as many as the English page has, in the same order.
        language: the language of the notes.
    """
    position = {block.start: number for number, block in enumerate(english.blocks)}
    for command in reversed(english.commands):
        if command.expectation.within is not None:
            end = blocks[position[command.block.start]].end + len(_FENCE_END)
            text = f"{text[:end]}\n{_MARK}{format_note(command, language)}\n{text[end:]}"
    return text


def remove_repeat_notes(text: str) -> str:
    """Return a page without its notes."""
    return _NOTE.sub("", text)


def format_note(command: Command, language: NoteLanguage) -> str:
    """Return the note of a command that is repeated."""
    expectation = command.expectation
    if expectation.until is not None:
        condition = getattr(expectation.until, language.code)
    elif snippets := tuple(_find_snippets(command)):
        quoted = language.separator.join(f"`{snippet}`" for snippet in snippets)
        condition = language.shows.format(snippets=quoted)
    else:
        condition = language.same_output
    return language.note.format(
        condition=condition, time=_format_time(expectation.within or 0, language)
    )


def _find_snippets(command: Command) -> Iterator[str]:
    """Yield the parts of the output on the page that `make lab` waits for, without random names."""
    output = command.output.text if command.output is not None else ""
    for pattern in command.expectation.shows:
        match = re.search(pattern, output, re.MULTILINE)
        if match is not None:
            yield " ".join(mask_random_suffixes(match[0]).split())


def _format_time(seconds: int, language: NoteLanguage) -> str:
    if seconds < _MINUTES_FROM:
        number, form = seconds, language.seconds
    else:
        number, form = -(-seconds // 60), language.minutes
    return form.format(number=number, plural="" if number == 1 else "s")
