"""The pages themselves: whole, fresh, in both languages, with outputs like those of a real run."""

import re
from pathlib import Path

import pytest

from hack.scenarios.lab.__main__ import main
from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.page_parser import Command, Page, parse_blocks
from hack.scenarios.lab.page_set import PAGES_FOLDER, PageSet
from hack.scenarios.lab.repeat_notes import (
    CHINESE_NOTES,
    ENGLISH_NOTES,
    format_note,
    remove_repeat_notes,
)
from hack.testkit.yaml_text import parse_yaml_documents

ROOT = Path(__file__).resolve().parents[4]
PAGES = PageSet(ROOT).list_pages()
COMMANDS = [(page, command) for page in PAGES for command in page.commands]
SECTIONS = (
    "What you will see",
    "The resource",
    "Do it",
    "What Kubernetes did",
    "What the operator added",
    "The same in plain Kubernetes",
    "On another cluster",
    "Questions",
)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def _id(given: Page | Command) -> str:
    return given.name if isinstance(given, Page) else f"line-{given.block.line}"


def test_the_generated_parts_are_fresh() -> None:
    """`make generate` writes them; `make verify` says the same."""
    assert [] == [path for path, old, new in PageSet(ROOT).compare_generated() if old != new]


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_a_page_has_all_sections_and_ends_clean(page: Page) -> None:
    headings = HEADING.findall(page.text)

    assert list(SECTIONS) == [heading for heading in headings if heading in SECTIONS]
    assert "<details>" in page.text.split("## Questions")[1]
    assert "delete" in page.commands[-1].block.text


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_the_resource_is_a_short_file_of_its_own(page: Page) -> None:
    (shown, *more) = [block for block in page.blocks if block.included and block.included.file]
    (made, *rest) = [block for block in page.blocks if block.included and block.included.plain]

    assert shown.included is not None
    for resource in parse_yaml_documents(shown.text):
        assert "SelfHealingApp" == resource["kind"]
    longest = max(len(part.splitlines()) for part in shown.text.split("---\n"))
    assert longest <= 20
    assert max(len(line) for line in shown.text.splitlines()) <= 105
    assert len(made.text) > len(shown.text)
    assert (len(more), len(rest)) <= (2, 2)


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=_id)
def test_an_output_in_a_page_is_one_that_would_pass(page: Page, command: Command) -> None:
    """It was captured from a run; the same patterns hold for it as for every run after it."""
    if command.output is None:
        return
    output = command.output.text

    assert output.strip(), f"{page.path}:{command.output.line}: run make lab CAPTURE=1"
    assert "" == command.expectation.find_mismatch(output)
    assert not re.search(r"/(root|home|tmp|work)/|selfhealing-[0-9a-f]{8}", output)
    assert not re.search(r"[ \t]$", output, re.MULTILINE)


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=_id)
def test_a_command_works_in_every_namespace_and_cannot_ask(page: Page, command: Command) -> None:
    """The reader's own context says the namespace; nothing waits for an answer without a limit."""
    text = command.block.text

    assert not re.search(r"\s(-n|--namespace)[ =]", text), f"{page.path}:{command.block.line}"
    assert not re.search(
        r"kubectl (edit|port-forward|proxy)|kubectl.*\s(-w|--watch|-it?)(\s|$)", text
    )
    assert all("--timeout=" in line for line in text.splitlines() if "kubectl wait" in line)


@pytest.mark.parametrize(
    ("page", "command"), [each for each in COMMANDS if each[1].expectation.within], ids=_id
)
def test_a_reader_is_told_to_repeat_what_make_lab_repeats(page: Page, command: Command) -> None:
    """In both languages, right after the command, with a condition that the output meets."""
    number = page.blocks.index(command.block)
    twin = ROOT / PAGES_FOLDER / "zh" / page.path.name
    chinese = twin.read_text(encoding="utf-8")
    english_note, chinese_note = (
        text[block.end :].splitlines()[2]
        for text, block in (
            (page.text, command.block),
            (chinese, parse_blocks(twin, chinese)[number]),
        )
    )

    assert english_note == f"> ↻ {format_note(command, ENGLISH_NOTES)}"
    assert chinese_note == f"> ↻ {format_note(command, CHINESE_NOTES)}"
    assert "the one below" not in english_note, f"{page.path}:{command.block.line}: say `until`"


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_only_the_notes_tell_to_repeat(page: Page) -> None:
    """A sentence by hand would become stale."""
    twin = ROOT / PAGES_FOLDER / "zh" / page.path.name

    for text in (page.text, twin.read_text(encoding="utf-8")):
        assert not re.search(r"[Rr]epeat th|重复执行", remove_repeat_notes(text))


def test_steps_are_found_by_their_names() -> None:
    assert ["liveness", "readiness"] == [
        page.name for page in PageSet(ROOT).select_pages(["readiness", "liveness"])
    ]
    assert PAGES == PageSet(ROOT).select_pages([])


def test_steps_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["steps", "--step", "liveness", "--step", "hpa"])

    assert re.fullmatch(r"2 steps, about \d:\d\d: liveness, hpa\n", capsys.readouterr().out)


@pytest.mark.parametrize("order", ["steps", "run"])
def test_an_unknown_step_is_answered_by_a_list(
    order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == main([order, "--step", "livenes"])

    said = capsys.readouterr().err
    assert "there is no step livenes; there are: deploy, liveness, readiness" in said


ENGLISH = """\
# 1. One: it

[简体中文](old)

<!-- lab page: {seconds: 1} -->

```sh
true
```

```text
old
```
"""
CHINESE = "# 1. 一\n\n[English](old)\n\n```sh\n```\n\n```text\n```\n"


def read_written_pages(root: Path) -> PageSet:
    folder = root / PAGES_FOLDER
    (folder / "zh").mkdir(parents=True)
    (folder / "01-one.md").write_text(ENGLISH, encoding="utf-8")
    (folder / "zh" / "01-one.md").write_text(CHINESE, encoding="utf-8")
    return PageSet(root)


def test_what_is_generated_is_written_once(tmp_path: Path) -> None:
    book = read_written_pages(tmp_path)

    assert [PAGES_FOLDER / "01-one.md", PAGES_FOLDER / "zh" / "01-one.md"] == list(
        book.write_generated()
    )
    assert [] == list(book.write_generated())
    assert "true\n" in (tmp_path / PAGES_FOLDER / "zh" / "01-one.md").read_text(encoding="utf-8")


def test_each_page_links_to_its_neighbours_and_its_twin(tmp_path: Path) -> None:
    book = read_written_pages(tmp_path)
    for path in (PAGES_FOLDER / "01-one.md", PAGES_FOLDER / "zh" / "01-one.md"):
        text = (tmp_path / path).read_text(encoding="utf-8")
        for number, name in ((2, "two"), (3, "three")):
            file = tmp_path / path.with_name(f"0{number}-{name}.md")
            file.write_text(text.replace("# 1. One", f"# {number}. {name}"), encoding="utf-8")

    list(book.write_generated())

    english = (tmp_path / PAGES_FOLDER / "02-two.md").read_text(encoding="utf-8")
    chinese = (tmp_path / PAGES_FOLDER / "zh" / "03-three.md").read_text(encoding="utf-8")
    assert (
        "[简体中文](zh/02-two.md) · before: [One](01-one.md) · [The lab](README.md)"
        " · next: [three](03-three.md)"
    ) == english.splitlines()[2]
    assert (
        "[English](../03-three.md) · 上一步：[一](02-two.md) · [实验首页](README.md)"
    ) == chinese.splitlines()[2]


def test_an_output_is_captured_into_every_language(tmp_path: Path) -> None:
    book = read_written_pages(tmp_path)
    (page,) = book.list_pages()

    assert book.capture_outputs(page, ["something new\n"])
    list(book.write_generated())

    for path in ("01-one.md", "zh/01-one.md"):
        assert "something new\n" in (tmp_path / PAGES_FOLDER / path).read_text(encoding="utf-8")
    (page,) = book.list_pages()
    assert not book.capture_outputs(page, ["something new\n"])


def test_a_page_without_its_twin_is_named(tmp_path: Path) -> None:
    book = read_written_pages(tmp_path)
    (tmp_path / PAGES_FOLDER / "zh" / "01-one.md").unlink()

    with pytest.raises(PageError, match=r"zh/01-one\.md: docs/lab/01-one\.md has no twin"):
        list(book.compare_generated())
