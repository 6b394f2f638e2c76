from pathlib import Path

import pytest

from hack.scenarios.lab.page_parser import Command, Page, parse_blocks, parse_page
from hack.scenarios.lab.repeat_notes import (
    CHINESE_NOTES,
    ENGLISH_NOTES,
    format_note,
    insert_repeat_notes,
    remove_repeat_notes,
)

PATH = Path("docs/lab/01-step.md")
TEXT = """# 1. Step

<!-- lab page: {seconds: 5} -->

<!-- lab: {shows: ["web-\\\\S+ +1/1", "Running +1 "], within: 75} -->
```sh
kubectl get pod
```

```text
NAME                   READY   STATUS    RESTARTS
web-6c4c475775-vvjwz   1/1     Running   1        8s
```

```sh
true
```

Words.

<!-- lab: {shows: "a", within: 150, until: {en: "an a appears", zh: "出现 a"}} -->
```sh
echo a
```
"""


def build_command(comment: str, output: str = "```text\nshop 2\n```\n") -> Command:
    """Return a command with this comment and this block after it."""
    block = f"<!-- lab: {comment} -->\n```sh\nls\n```\n\n{output}"
    page = parse_page(PATH, f"# 1. Step\n\n<!-- lab page: {{seconds: 5}} -->\n\n{block}")
    return page.commands[0]


@pytest.fixture
def page() -> Page:
    return parse_page(PATH, TEXT)


def test_a_reader_is_told_to_repeat_what_make_lab_repeats(page: Page) -> None:
    text = insert_repeat_notes(page, page.text, page.blocks, ENGLISH_NOTES)

    assert (
        "kubectl get pod\n```\n\n"
        "> ↻ Repeat this command until it shows `web-… 1/1` and `Running 1`;"
        " this takes up to 75 seconds.\n\n```text\nNAME"
    ) in text
    assert "> ↻ Repeat this command until an a appears; this takes up to 3 minutes.\n" in text
    assert 2 == text.count("↻")


def test_the_note_does_not_part_a_command_from_its_output(page: Page) -> None:
    text = insert_repeat_notes(page, page.text, page.blocks, ENGLISH_NOTES)

    assert [command.output and command.output.text for command in page.commands] == [
        command.output and command.output.text for command in parse_page(PATH, text).commands
    ]


def test_notes_are_written_anew(page: Page) -> None:
    text = insert_repeat_notes(page, page.text, page.blocks, ENGLISH_NOTES)

    assert page.text == remove_repeat_notes(text)


def test_the_translation_has_the_notes_at_the_same_places(page: Page) -> None:
    chinese = page.text.replace("Words.", "这里有更多的文字。")

    text = insert_repeat_notes(page, chinese, parse_blocks(PATH, chinese), CHINESE_NOTES)

    assert (
        "kubectl get pod\n```\n\n"
        "> ↻ 重复执行这条命令，直到显示 `web-… 1/1` 和 `Running 1`；最多需要 75 秒。\n\n```text\n"
    ) in text
    assert "echo a\n```\n\n> ↻ 重复执行这条命令，直到出现 a；最多需要 3 分钟。\n" in text


@pytest.mark.parametrize(
    ("seconds", "time"), [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes")]
)
def test_a_short_time_is_told_in_seconds(seconds: int, time: str) -> None:
    command = build_command(f'{{shows: "shop", within: {seconds}}}')

    assert format_note(command, ENGLISH_NOTES).endswith(
        f"until it shows `shop`; this takes up to {time}."
    )


def test_without_a_part_to_quote_the_reader_compares_the_whole_output() -> None:
    command = build_command('{hides: "error", within: 5}')

    assert "until its output is like the one below;" in format_note(command, ENGLISH_NOTES)


def test_an_output_with_braces_is_quoted_as_it_is() -> None:
    command = build_command("""{shows: '\\{"a":1\\}', within: 5}""", '```text\n{"a":1}\n```\n')

    assert '`{"a":1}`' in format_note(command, ENGLISH_NOTES)
