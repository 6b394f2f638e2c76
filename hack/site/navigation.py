"""The order of the pages on the site; a page that is missing here fails the build."""

from dataclasses import dataclass
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
            "lab/01-deploy.md",
            "lab/02-liveness.md",
            "lab/03-readiness.md",
            "lab/04-hpa.md",
            "lab/05-scaling.md",
            "lab/06-restart-policies.md",
            "lab/07-probe-types.md",
            "lab/08-clean-up.md",
            "lab/09-startup-probe.md",
            "lab/10-custom-metrics.md",
            "lab/11-vpa.md",
            "lab/12-node-failure.md",
            "lab/13-disruption-budget.md",
        ),
    ),
    Section({"en": "Contribute", "zh": "贡献"}, ("CONTRIBUTING.md", "local-cluster.md")),
)
