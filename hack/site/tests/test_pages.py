"""A page of the repository becomes a page of the site: its links, its lists, its language."""

from pathlib import Path

import pytest

from hack.site.navigation import NAVIGATION, Section, list_section_pages
from hack.site.pages import Page, Sources, convert_page, find_pages


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Two pages with twins, one without, and files that are no pages."""
    for name in (
        *("CHANGELOG.md", "README.md", "README.zh-CN.md", "examples/one.yaml"),
        *("docs/README.md", "docs/install.md", "docs/only.md", "docs/zh/README.md"),
        *("docs/zh/install.md", "docs/lab/README.md", "docs/lab/zh/README.md", "docs/img/a.svg"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    return find_pages(tmp_path)


def convert(sources: Sources, source: str, text: str) -> tuple[str, set[str]]:
    """The page without its front matter, and the files that it links to."""
    converted, files = convert_page(sources.pages[source], text, sources)
    return converted.partition("---\n\n")[2].rstrip("\n"), files


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("docs/README.md", "install.md#a-b", "install.md#a-b"),
        ("docs/lab/README.md", "../install.md", "../install.md"),
        ("docs/zh/README.md", "../lab/zh/README.md", "lab/README.md"),
        ("docs/zh/install.md", "../only.md#part", "site:only.html#part"),
        ("docs/README.md", "zh/install.md", "site:zh/install.html"),
        ("docs/install.md", "../README.md", "README.md"),
        ("docs/zh/install.md", "../../README.zh-CN.md", "README.md"),
        ("docs/install.md", "../examples/one.yaml", "site:files/examples/one.yaml.txt"),
        ("docs/install.md", "../examples/", "site:files/examples/index.html"),
        ("docs/zh/install.md", "../img/a.svg", "img/a.svg"),
        ("CHANGELOG.md", "docs/install.md", "install.md"),
        ("docs/install.md", "https://example.com/x.md", "https://example.com/x.md"),
        ("docs/install.md", "#here", "#here"),
    ],
)
def test_where_links_lead(sources: Sources, source: str, target: str, expected: str) -> None:
    assert convert(sources, source, f"[x]({target})")[0] == f"[x]({expected})"


def test_files_are_named_and_what_is_missing_is_an_error(sources: Sources) -> None:
    assert convert(sources, "docs/install.md", "[x](../examples/one.yaml)")[1] == {
        "examples/one.yaml"
    }
    with pytest.raises(ValueError, match=r"docs/install\.md: missing\.md leads to nothing"):
        convert(sources, "docs/install.md", "[x](missing.md)")


def test_code_stays_as_it_is(sources: Sources) -> None:
    code = "```yaml\n[x](missing.md)\n- a\ntext\n- b\n```"

    assert convert(sources, "docs/install.md", code.replace("yaml", "yaml resource"))[0] == code


def test_the_title_comes_first(sources: Sources) -> None:
    text = "<!-- Generated. -->\n\n# Title\n\n<!-- a: begin -->"

    assert convert(sources, "docs/install.md", text)[0].strip() == "# Title\n\n<!-- a: begin -->"


def test_a_list_gets_the_empty_line_that_the_site_needs(sources: Sources) -> None:
    assert convert(sources, "docs/install.md", "Text:\n- a\n- b")[0] == "Text:\n\n- a\n- b"


def test_sentences_of_chinese_get_no_space_between_them(sources: Sources) -> None:
    text = "# 标题\n\n第一句。\n第二句，\n`code`。\n- 项目。\n- 项目。"

    assert convert(sources, "docs/zh/install.md", text)[0] == (
        "# 标题\n\n第一句。第二句，`code`。\n\n- 项目。\n- 项目。"
    )


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("docs/install.md", "zh/install.html"),
        ("docs/zh/install.md", "../install.html"),
        ("docs/lab/README.md", "../zh/lab/index.html"),
        ("docs/only.md", "zh/index.html"),
    ],
)
def test_the_language_switch(sources: Sources, source: str, twin: str) -> None:
    text, _ = convert_page(sources.pages[source], "[简体中文](zh/install.md)\n", sources)

    assert text == f"---\ntwin: {twin}\n---\n\n"


def test_the_address_of_a_page() -> None:
    assert Page("docs/zh/a/b.md", "zh", "a/b.md").url == "zh/a/b.html"


def test_every_entry_of_the_navigation_is_a_page_and_every_page_has_an_entry() -> None:
    paths = {page.path for page in find_pages().pages.values() if page.language == "en"}
    listed = {path for section in NAVIGATION for path in list_section_pages(section, paths)}

    assert {path for path in paths - listed if not path.startswith("adr/0")} == set()
    assert [
        entry
        for section in NAVIGATION
        for entry in section.pages
        if not list_section_pages(Section(section.titles, (entry,)), paths)
    ] == []
