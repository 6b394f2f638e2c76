"""Regular expressions for text from outside, which are matched in linear time.

Apps, users and other controllers choose that text, and a backtracking engine takes hours for 64 KiB
of the wrong text. RE2 does not backtrack and releases the interpreter lock while it searches; it
has no lookaround and no backreferences (docs/adr/0022-linear-regular-expressions.md). Every pattern
of the operator is measured with hostile text in tests/unit/test_linear_regexes.py.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import re2

_MAX_MEMORY = 4 << 20
"""Bytes for the automata of one pattern. Beyond it RE2 is slower, and still linear."""


class Match(Protocol):
    """The parts of a match that the operator uses; positions are in characters."""

    def __getitem__(self, group: int | str) -> str:
        """Return the text of a group; group 0 is the whole match."""

    def start(self, group: int = 0) -> int:
        """Return where a group begins."""

    def end(self, group: int = 0) -> int:
        """Return where a group ends."""

    def groups(self) -> tuple[str | Any, ...]:
        """Return the text of every group; None for one that took no part."""

    def groupdict(self) -> dict[str, str | Any]:
        """Return the text of every named group; None for one that took no part."""


class Pattern(Protocol):
    """A compiled pattern, with the meaning of ``re.Pattern``."""

    @property
    def pattern(self) -> str:
        """Return the source of the pattern."""

    def search(self, text: str) -> Match | None:
        """Find the first match anywhere."""

    def match(self, text: str) -> Match | None:
        """Match at the beginning."""

    def fullmatch(self, text: str) -> Match | None:
        """Match the whole text."""

    def finditer(self, text: str) -> Iterator[Match]:
        """Find all matches that do not overlap."""

    def sub(self, replacement: str | Callable[[Match], str], text: str, count: int = 0) -> str:
        """Replace all matches, or the first ``count``."""


def compile_pattern(pattern: str) -> Pattern:
    r"""Compile a pattern in the syntax of RE2, where \d, \w, \s and \b know ASCII only.

    Raises:
        re2.error: the pattern is not valid, or uses lookaround or a backreference.
    """
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    return cast("Pattern", re2.compile(pattern, options))
