"""A page of the lab, read as what it makes a reader do.

A fenced block that is ``sh`` is typed by the reader, and so by ``make lab``. The next ``text``
block is what it prints. An HTML comment before a block, which no reader sees, says what must come
of it::

    <!-- lab: {shows: "Running +1 ", within: 60} -->

The comment is YAML; its fields are those of ``Wanted`` before ``sh``, of ``Included`` before
``yaml`` and of ``About`` at the top of the page. Patterns are regular expressions over lines.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hack.scenarios.lab.errors import PageError

_FENCE = re.compile(
    r"(?:^<!-- lab:(?P<comment>(?:(?!-->).)*)-->\n+)?^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_SETTINGS_COMMENT = re.compile(r"^<!-- lab page:(?P<comment>.*?)-->$", re.DOTALL | re.MULTILINE)
_ANY_COMMENT = re.compile(r"^<!-- lab\b", re.MULTILINE)
_TITLE = re.compile(r"^# (?:\d+\. )?(?P<text>.+)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
_NAME = re.compile(r"^\d\d-(?P<name>[a-z-]+)$")

Pattern = Annotated[str, Field(min_length=1)]


class Comment(BaseModel):
    """What a comment may say; an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Expectation(Comment):
    """What must come of a block of commands."""

    shows: tuple[Pattern, ...] = ()
    """Each is found in the output."""

    hides: tuple[Pattern, ...] = ()
    """None is found in the output."""

    within: Annotated[int, Field(ge=1, le=900)] | None = None
    """The reader repeats the block until it shows this; seconds."""

    limit: Annotated[int, Field(ge=1, le=900)] = 60
    """Seconds that one try may take."""

    exit: Annotated[int, Field(ge=0, le=255)] = 0
    """The exit code of the last command."""

    always: bool = False
    """What puts something right again: it is done even if the page failed before it."""

    @field_validator("shows", "hides", mode="before")
    @classmethod
    def _patterns(cls, value: object) -> object:
        found = (value,) if isinstance(value, str) else value
        if not isinstance(found, list | tuple):
            return found
        for pattern in found:
            try:
                re.compile(str(pattern))
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a pattern: {error}") from error
        return tuple(found)

    def find_mismatch(self, output: str) -> str:
        """What is wrong with an output; empty when nothing is."""
        for pattern in self.shows:
            if not re.search(pattern, output, re.MULTILINE):
                return f"it does not show “{pattern}”"
        for pattern in self.hides:
            if re.search(pattern, output, re.MULTILINE):
                return f"it shows “{pattern}”, which must not be there"
        return ""


class IncludedText(Comment):
    """Where the text of a YAML block comes from: a file, or what the operator makes of it."""

    file: str = ""
    plain: str = ""


class Need(Comment):
    """Something that not every cluster has."""

    check: str
    """A command that succeeds where it is there."""

    otherwise: str
    """How to get it."""


class PageSettings(Comment):
    """What is to be known about a page before it is played."""

    seconds: Annotated[int, Field(ge=1, le=900)]
    """How long it takes as a rule."""

    needs: tuple[Need, ...] = ()

    @field_validator("needs", mode="before")
    @classmethod
    def _needs(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where its text lies in the page and what the comment before it says."""

    line: int
    start: int
    end: int
    info: str
    text: str
    heading: str
    expectation: Expectation | None = None
    included: IncludedText | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """What the reader types, and the place in the page for what it prints."""

    block: Block
    expectation: Expectation
    output: Block | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its name (``liveness``), its title and its blocks."""

    path: Path
    text: str
    title: str
    settings: PageSettings
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """What ``STEP=`` calls it."""
        return page_name(self.path)

    @property
    def commands(self) -> tuple[Command, ...]:
        """What the reader does, in order."""
        found: list[Command] = []
        pending: Block | None = None
        for block in (*self.blocks, None):
            if pending is not None and (block is None or block.info in ("sh", "text")):
                printed = block if block is not None and block.info == "text" else None
                found.append(Command(pending, pending.expectation or Expectation(), printed))
                pending = None
            if block is not None and block.info == "sh":
                pending = block
        return tuple(found)


def page_name(path: Path) -> str:
    """``liveness`` for ``02-liveness.md``; the file's stem where it has no number."""
    match = _NAME.match(path.stem)
    return match["name"] if match else path.stem


def parse_page(path: Path, text: str) -> Page:
    """Read a page.

    Raises:
        PageError: a comment is not understood, or there is no title.
    """
    title = _TITLE.search(text)
    if title is None:
        raise PageError(f"{path}: there is no title")
    settings = _SETTINGS_COMMENT.search(text)
    if settings is None:
        raise PageError(f"{path}: there is no `<!-- lab page: {{seconds: ...}} -->`")
    parsed_blocks = parse_blocks(path, text)
    if len(_ANY_COMMENT.findall(text)) != 1 + sum(
        bool(b.expectation or b.included) for b in parsed_blocks
    ):
        raise PageError(f"{path}: a lab comment stands before nothing")
    return Page(
        path=path,
        text=text,
        title=title["text"].strip(),
        settings=_parse_comment(
            PageSettings, settings["comment"], path, _line_number(text, settings.start())
        ),
        blocks=parsed_blocks,
    )


def parse_blocks(path: Path, text: str) -> tuple[Block, ...]:
    """All fenced blocks of a text.

    Raises:
        PageError: a comment before one is not understood.
    """
    headings = [(match.start(), match["text"]) for match in _HEADING.finditer(text)]
    parsed_blocks = []
    for match in _FENCE.finditer(text):
        line = _line_number(text, match.start("info"))
        comment, info = match["comment"], match["info"].strip()
        if comment is not None and info not in ("sh", "yaml"):
            raise PageError(f"{path}:{line}: a lab comment belongs before sh or yaml")
        parsed_blocks.append(
            Block(
                line=line,
                start=match.start("body"),
                end=match.end("body"),
                info=info,
                text=match["body"],
                heading=next((text for at, text in reversed(headings) if at < match.start()), ""),
                expectation=_parse_comment(Expectation, comment, path, line)
                if comment and info == "sh"
                else None,
                included=_parse_comment(IncludedText, comment, path, line)
                if comment and info == "yaml"
                else None,
            )
        )
    return tuple(parsed_blocks)


CommentType = TypeVar("CommentType", bound=Comment)


def _parse_comment(kind: type[CommentType], comment: str, path: Path, line: int) -> CommentType:
    try:
        return kind.model_validate(yaml.safe_load(comment))
    except (yaml.YAMLError, ValidationError) as error:
        raise PageError(f"{path}:{line}: the lab comment is not understood: {error}") from error


def _line_number(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
