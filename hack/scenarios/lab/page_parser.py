"""Parses a page of the lab.

The reader, and ``make lab``, runs each ``sh`` block; the ``text`` block after it is its output. An
HTML comment before a block states what is expected::

    <!-- lab: {shows: "Running +1 ", within: 60} -->

The comment is YAML. Its fields are those of ``Expectation`` before ``sh``, of ``IncludedText``
before ``yaml`` and of ``PageSettings`` at the top of the page. Patterns are regular expressions for
lines.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hack.scenarios.lab.errors import PageError
from hack.testkit.yaml_text import parse_yaml

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
    """The fields of a comment; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Until(Comment):
    """What the reader waits for, in each language: a clause that follows the word "until"."""

    en: str
    zh: str


class Expectation(Comment):
    """What is expected of a block of commands."""

    shows: tuple[Pattern, ...] = ()
    """Patterns that must be found in the output."""

    hides: tuple[Pattern, ...] = ()
    """Patterns that must not be found in the output."""

    within: Annotated[int, Field(ge=1, le=900)] | None = None
    """Seconds for which the block is repeated until the output is as expected."""

    until: Until | None = None
    """What the reader waits for; if not given, the page quotes what ``shows`` finds."""

    limit: Annotated[int, Field(ge=1, le=900)] = 60
    """Seconds that one run may take."""

    exit: Annotated[int, Field(ge=0, le=255)] = 0
    """The exit code of the last command."""

    always: bool = False
    """Whether the block runs even after a failure, because it restores something."""

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
        """Return what is wrong with an output; empty if nothing."""
        for pattern in self.shows:
            if not re.search(pattern, output, re.MULTILINE):
                return f"it does not show “{pattern}”"
        for pattern in self.hides:
            if re.search(pattern, output, re.MULTILINE):
                return f"it shows “{pattern}”, which must not be there"
        return ""


class IncludedText(Comment):
    """The source of a YAML block: a file, or the plain manifests of a file."""

    file: str = ""
    plain: str = ""


class Need(Comment):
    """A requirement that not every cluster meets."""

    check: str
    """A command that succeeds if the requirement is met."""

    otherwise: str
    """How to meet it."""


class PageSettings(Comment):
    """The settings of a page."""

    seconds: Annotated[int, Field(ge=1, le=900)]
    """Seconds that the page takes on two cores."""

    needs: tuple[Need, ...] = ()

    @field_validator("needs", mode="before")
    @classmethod
    def _needs(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its place in the text and the comment before it."""

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
    """A block of commands and the block for its output."""

    block: Block
    expectation: Expectation
    output: Block | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path, title and blocks."""

    path: Path
    text: str
    title: str
    settings: PageSettings
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """The name for ``STEP=``."""
        return page_name(self.path)

    @property
    def commands(self) -> tuple[Command, ...]:
        """The blocks of commands, in order."""
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
    """Return ``liveness`` for ``02-liveness.md``; the stem of a file without a number."""
    match = _NAME.match(path.stem)
    return match["name"] if match else path.stem


def parse_page(path: Path, text: str) -> Page:
    """Parse a page.

    Raises:
        PageError: a comment is invalid, or the title is missing.
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
    """Return all fenced blocks of a text.

    Raises:
        PageError: the comment before a block is invalid.
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
        return kind.model_validate(parse_yaml(comment))
    except (yaml.YAMLError, ValidationError) as error:
        raise PageError(f"{path}:{line}: the lab comment is not understood: {error}") from error


def _line_number(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
