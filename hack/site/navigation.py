"""The order of the pages on the site; a page that is missing here fails the build.

An entry may be a pattern, such as that of the lab's numbered pages.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Final


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the navigation: its title in both languages, and its pages under docs/."""

    titles: dict[str, str]
    pages: tuple[str, ...]


NAVIGATION: Final = (
    Section(
        {"en": "Start", "zh": "入门"},
        ("README.md", "tutorial.md", "concepts.md", "faq.md", "glossary.md"),
    ),
    Section(
        {"en": "How to", "zh": "操作指南"},
        (
            "how-to.md",
            "install.md",
            "production.md",
            "plugin.md",
            "dashboard.md",
            "import.md",
            "access.md",
            "gitops.md",
            "upgrade.md",
        ),
    ),
    Section(
        {"en": "Healing", "zh": "自愈"},
        ("healing.md", "healing-reference.md", "evidence.md", "never.md"),
    ),
    Section(
        {"en": "When something is wrong", "zh": "出问题时"},
        ("troubleshooting.md", "runbook.md", "alerts.md", "messages.md"),
    ),
    Section(
        {"en": "Reference", "zh": "参考"},
        (
            "status.md",
            "reference/selfhealingapp.md",
            "reference/words.md",
            "reference/metrics.md",
            "reference/settings.md",
            "reference/cli.md",
            "CHANGELOG.md",
        ),
    ),
    Section(
        {"en": "Background", "zh": "背景"},
        (
            "comparison.md",
            "capability-levels.md",
            "security.md",
            "SECURITY.md",
            "architecture.md",
            "crash-consistency.md",
            "worlds.md",
            "benchmark.md",
            "adr/README.md",
        ),
    ),
    Section(
        {"en": "Lab", "zh": "实验"},
        (
            "lab/README.md",
            "lab/[0-9]*.md",
            "lab/answers.md",
        ),
    ),
    Section({"en": "Contribute", "zh": "贡献"}, ("CONTRIBUTING.md", "local-cluster.md")),
)


def list_section_pages(section: Section, paths: Iterable[str]) -> list[str]:
    """Return those of ``paths`` that belong to ``section``, in its order."""
    known = sorted(paths)
    return [path for entry in section.pages for path in known if fnmatch(path, entry)]
