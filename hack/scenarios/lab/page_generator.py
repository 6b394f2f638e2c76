"""Inserts the generated parts into the pages. Pure.

These are the files that a page shows, the plain manifests beside them, and the real outputs of the
commands. The Chinese page has the same blocks as the English one in the same order; commands and
outputs are copied from there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.output_compare import has_same_content
from hack.scenarios.lab.page_parser import Block, Page, parse_blocks
from hack.scenarios.lab.plain_manifests import render_plain_manifests

_CLUSTER_NAME = re.compile(r"\b(?P<name>selfhealing-[0-9a-f]{8})(?P<rest>\S*)(?P<gap> {2,})?")
"""The name of a clone's cluster, which is a part of node names, and the gap after it in a table."""

_KIND_CLUSTER_NAME = "kind"
"""The name that the pages show instead: kind's default."""

_LINKS = re.compile(r"^\[(?:简体中文|English)\]\(.*$", re.MULTILINE)
_TITLE = re.compile(r"^# (?:\d+\. )?(?P<text>[^:：\n]+)", re.MULTILINE)

Link = tuple[str, str]
"""A file name and the text of the link."""

_SHARED_KINDS = frozenset({"sh", "text", "yaml"})
"""The languages of blocks that are equal in all pages; other blocks have comments to translate."""


def insert_included_texts(page: Page, read: Callable[[str], str]) -> str:
    """Return the page with the files and the plain manifests that its comments name.

    Args:
        page: an English page.
        read: returns the text of a file of the repository.

    Raises:
        PageError: a comment names neither a file nor a manifest, or both.
    """
    new: dict[int, str] = {}
    for index, block in enumerate(page.blocks):
        if block.included is None:
            continue
        file, source = block.included.file, block.included.plain
        if bool(file) == bool(source):
            raise PageError(f"{page.path}:{block.line}: say either file or plain")
        new[index] = read(file) if file else render_plain_manifests(read(source))
    return _replace_blocks(page.text, page.blocks, new)


def insert_outputs(page: Page, outputs: Sequence[str]) -> str:
    """Return the page with the outputs of its commands; equal outputs leave it unchanged.

    Args:
        page: an English page.
        outputs: the output of each command.
    """
    output_blocks = [command.output for command in page.commands]
    pairs = [
        (place, clean_output(output))
        for place, output in zip(output_blocks, outputs, strict=True)
        if place is not None
    ]
    if all(has_same_content(place.text, output) for place, output in pairs):
        return page.text
    index = {block.start: number for number, block in enumerate(page.blocks)}
    return _replace_blocks(
        page.text, page.blocks, {index[place.start]: text for place, text in pairs}
    )


@dataclass(frozen=True, slots=True)
class Language:
    """The texts of the line of links at the top of a page."""

    folder: str
    translation_link: str
    previous_label: str
    home_link: str
    next_label: str


ENGLISH: Final = Language("", "[简体中文](zh/{name})", "before: ", "[The lab](README.md)", "next: ")
CHINESE: Final = Language(
    "zh", "[English](../{name})", "上一步：", "[实验首页](README.md)", "下一步："
)


def insert_links(
    text: str, language: Language, name: str, neighbours: tuple[Link | None, Link | None]
) -> str:
    """Return the page with its line of links: other language, previous page, overview, next page.

    Args:
        text: the page.
        language: the language of the page.
        name: the file name of the page.
        neighbours: the previous and the next page; None where there is none.
    """
    before, after = neighbours
    parts = [language.translation_link.format(name=name)]
    if before:
        parts.append(f"{language.previous_label}[{before[1]}]({before[0]})")
    parts.append(language.home_link)
    if after:
        parts.append(f"{language.next_label}[{after[1]}]({after[0]})")
    line = " · ".join(parts)
    return _LINKS.sub(lambda _: line, text, count=1)


def page_title(text: str) -> str:
    """Return the title without its number and without the part after a colon."""
    match = _TITLE.search(text)
    return match["text"].strip() if match else ""


def clean_output(output: str) -> str:
    """Return an output as it appears in a page."""
    lines = (
        line.rstrip()
        for line in _CLUSTER_NAME.sub(_replace_cluster_name, output).strip("\n").splitlines()
    )
    return "".join(f"{line}\n" for line in lines)


def _replace_cluster_name(match: re.Match[str]) -> str:
    """Replace the cluster name; the columns of a table stay aligned."""
    gap = match["gap"] or ""
    more = " " * (len(match["name"]) - len(_KIND_CLUSTER_NAME)) if gap else ""
    return f"{_KIND_CLUSTER_NAME}{match['rest']}{gap}{more}"


def insert_shared_blocks(english: Page, path: Path, text: str) -> str:
    """Return a page in another language with the blocks of the English page.

    Raises:
        PageError: it does not have the same blocks in the same order.
    """
    translated_blocks = parse_blocks(path, text)
    kinds, english_kinds = (
        [block.info for block in translated_blocks],
        [block.info for block in english.blocks],
    )
    if kinds != english_kinds:
        raise PageError(
            f"{path}: its blocks are {kinds}, those of {english.path} are {english_kinds}"
        )
    shared_texts = {
        index: block.text
        for index, block in enumerate(english.blocks)
        if block.info in _SHARED_KINDS
    }
    return _replace_blocks(text, translated_blocks, shared_texts)


def _replace_blocks(text: str, page_blocks: Sequence[Block], texts: Mapping[int, str]) -> str:
    for index in sorted(texts, reverse=True):
        block = page_blocks[index]
        body = texts[index].rstrip("\n")
        text = text[: block.start] + body + "\n" * bool(body) + text[block.end :]
    return text
