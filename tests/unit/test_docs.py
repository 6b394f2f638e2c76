"""The documentation names only what there is, in both languages alike."""

import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from hack.testkit.yaml_text import parse_yaml
from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.controller.settings import Settings
from selfhealing.kube.resources import CLUSTER_SCOPED, LEASES, namespace_scoped_resources
from selfhealing.plugin.command.main import cli

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "examples")
PAGES = sorted(
    path
    for found in (ROOT.glob("*.md"), *((ROOT / name).rglob("*.md") for name in FOLDERS))
    for path in found
)
PAIRS = [(ROOT / "README.md", ROOT / "README.zh-CN.md")] + [
    (path.parents[1] / path.name, path)
    for folder in ("zh", "lab/zh")
    for path in sorted((ROOT / "docs" / folder).glob("*.md"))
]
BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^(?P<level>#+) (?P<text>.+)$", re.MULTILINE)
COMMENT = re.compile(r"\s+# .*$", re.MULTILINE)
MAKE = re.compile(r"(?:`|\$ )make (?P<target>[a-z][a-z0-9-]*)")
PLUGIN = re.compile(r"(?:`|\$ |or: |：)kubectl selfheal (?P<words>[a-z][^`\n>|]*)")
ROW = re.compile(r"^\| (?P<kinds>[^|]+) \| (?P<verbs>[^|]+) \|", re.MULTILINE)
MESSAGE = re.compile(r"^\| `(?P<text>[^`]+)` \|", re.MULTILINE)
SPLIT_LITERAL = re.compile(r"\"\s*\n\s*f?\"")
"""Where Python code continues a text on the next line."""
GLOSSARY_ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
TARGET = re.compile(r"^(?P<target>[a-z][a-z0-9-]*):", re.MULTILINE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prose(path: Path) -> str:
    return BLOCK.sub("", path.read_text(encoding="utf-8"))


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of headings."""
    texts = (match["text"] for match in HEADING.finditer(_prose(path)))
    return {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in texts}


def _shape(path: Path) -> list[str]:
    return [match["level"] for match in HEADING.finditer(_prose(path))]


def _blocks(path: Path) -> list[tuple[str, str]]:
    """The code blocks without their comments, which are translated."""
    text = path.read_text(encoding="utf-8")
    return [(match["info"], COMMENT.sub("", match["text"])) for match in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for match in LINK.finditer(_prose(page)):
        target = unquote(match["target"])
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefiles = (ROOT / "Makefile", *(ROOT / "hack").rglob("*.mk"))
    known = {match["target"] for file in makefiles for match in TARGET.finditer(file.read_text())}
    named = {match["target"] for match in MAKE.finditer(page.read_text(encoding="utf-8"))}

    assert named - known == set()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "reference" not in page.parts], ids=_name
)
def test_every_command_of_the_plugin_that_is_named_exists(page: Path) -> None:
    """With the options that it is shown with; click refuses others."""
    for match in PLUGIN.finditer(page.read_text(encoding="utf-8")):
        name, *words = shlex.split(match["words"], comments=True)
        command = cli.get_command(click.Context(cli), name)

        assert command is not None, name
        command.make_parser(click.Context(command)).parse_args(words)


def _resources() -> list[tuple[str, str]]:
    return [
        (_name(page), match["text"])
        for page in PAGES
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["info"] == "yaml resource"
    ]


def test_there_are_resources_to_read() -> None:
    assert {page for page, _ in _resources()} >= {"README.md", "README.zh-CN.md"}


@pytest.mark.parametrize(("page", "text"), _resources())
def test_resources_are_read_by_the_models(page: str, text: str) -> None:
    resource = parse_yaml(text)

    assert (resource["apiVersion"], resource["kind"]) == (names.API_VERSION, names.KIND), page
    parse_spec(resource["spec"])


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=_name)
def test_both_languages_have_the_same_headings_and_outputs(english: Path, chinese: Path) -> None:
    assert _shape(english) == _shape(chinese)
    assert _blocks(english) == _blocks(chinese)


@pytest.mark.parametrize("page", [pair[0] for pair in PAIRS], ids=_name)
def test_each_page_of_a_pair_links_to_the_other(page: Path) -> None:
    chinese = dict(PAIRS)[page]

    assert f"({chinese.relative_to(page.parent)})" in page.read_text(encoding="utf-8")


def test_the_texts_of_the_messages_are_in_the_sources() -> None:
    """Whoever changes a text finds its row; the Chinese page has the same texts."""
    modules = sorted((ROOT / "operator" / "selfhealing").rglob("*.py"))
    sources = SPLIT_LITERAL.sub("", "".join(path.read_text() for path in modules))
    texts, chinese = (
        MESSAGE.findall((ROOT / "docs" / folder / "messages.md").read_text())
        for folder in (".", "zh")
    )

    assert [text for text in texts if text not in sources] == []
    assert texts == chinese
    assert len(texts) > 60


def test_the_glossaries_are_each_other_turned_round() -> None:
    english, chinese = (
        GLOSSARY_ROW.findall((ROOT / "docs" / folder / "glossary.md").read_text())
        for folder in (".", "zh")
    )

    assert [(second, first) for first, second in chinese[1:]] == english[1:]


@pytest.mark.parametrize("page", ["docs/install.md", "docs/zh/install.md"])
def test_the_installation_names_every_setting_and_every_right(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    flags = {"--" + name.replace("_", "-") for name in Settings.model_fields}

    assert {flag for flag in flags if f"{flag} VALUE" not in text} == set()
    rows = [
        (set(re.findall(r"[a-z0-9./]+", row["kinds"])), set(re.findall(r"[a-z]+", row["verbs"])))
        for row in ROW.finditer(text)
    ]
    missing = [
        resource.plural
        for resource in (*namespace_scoped_resources("all"), *CLUSTER_SCOPED, LEASES)
        if not any(resource.plural in kinds and verbs >= resource.verbs for kinds, verbs in rows)
    ]

    assert missing == []


@pytest.mark.parametrize("page", ["docs/security.md", "docs/zh/security.md"])
def test_the_security_page_says_what_each_right_means(page: str) -> None:
    """With the subresources that are written, and no right that the operator does not have."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)[5]
    named = {kind for row in ROW.finditer(section) for kind in re.split(r"[,、] ?", row["kinds"])}
    resources = (*namespace_scoped_resources("all"), *CLUSTER_SCOPED, LEASES)
    rights = {resource.plural for resource in resources} | {
        f"{resource.plural}/{name}" for resource in resources for name in resource.subresources
    }

    assert rights == {kind.strip() for kind in named if re.fullmatch(r"[a-z/]+", kind.strip())} - {
        "right"
    }
