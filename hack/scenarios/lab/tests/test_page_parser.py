from pathlib import Path

import pytest

from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.page_parser import Expectation, parse_page

PAGE = Path("docs/lab/02-some-step.md")
ABOUT = "<!-- lab page: {seconds: 5} -->"
TEXT = f"""# 2. Some step: it happens

{ABOUT}

## Do it

<!-- lab: {{shows: "Running +1", within: 60}} -->
```sh
kubectl get pod
```

The words between.

```text
NAME READY
```

<!-- lab: {{file: docs/lab/manifests/x.yaml}} -->
```yaml
```

```sh
echo one
```

## Questions

```sh
echo two
echo three
```

```text
two
```

```console
$ not typed
```
"""


def test_a_page_is_read_as_commands_and_what_must_come_of_them() -> None:
    page = parse_page(PAGE, TEXT)

    assert ("some-step", "Some step: it happens", 5) == (
        page.name,
        page.title,
        page.settings.seconds,
    )
    assert [
        ("kubectl get pod\n", "NAME READY\n", "Do it"),
        ("echo one\n", None, "Do it"),
        ("echo two\necho three\n", "two\n", "Questions"),
    ] == [
        (found.block.text, found.output.text if found.output else None, found.block.heading)
        for found in page.commands
    ]
    assert Expectation(shows=("Running +1",), within=60) == page.commands[0].expectation
    assert Expectation() == page.commands[1].expectation
    assert 8 == page.commands[0].block.line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("# 2. Some step: it happens", ""), "no title"),
        ((ABOUT, ""), "no `<!-- lab page"),
        (("seconds: 5", "minutes: 5"), r"md:3: the lab comment is not understood[\s\S]*minutes"),
        (("within: 60", "withing: 60"), r"md:8: the lab comment is not understood[\s\S]*withing"),
        (("within: 60", "within: 6000"), "less than or equal to 900"),
        (('"Running +1"', '"Running +1("'), "is not a pattern"),
        (("shows: ", "shows: {a: b}, hides: "), "not understood"),
        (("{shows", "{{shows"), "not understood"),
        (("```sh\nkubectl", "```console\nkubectl"), "belongs before sh or yaml"),
        (("```sh\nkubectl", "Words.\n\n```sh\nkubectl"), "a lab comment stands before nothing"),
    ],
)
def test_a_mistake_in_a_page_is_named_with_its_place(change: tuple[str, str], says: str) -> None:
    with pytest.raises(PageError, match=says):
        parse_page(PAGE, TEXT.replace(*change))


def test_a_page_without_a_number_has_its_whole_name() -> None:
    assert "README" == parse_page(Path("README.md"), TEXT).name


def test_needs_are_read() -> None:
    about = '<!-- lab page: {seconds: 5, needs: [{check: "true", otherwise: "more"}]} -->'

    (need,) = parse_page(PAGE, TEXT.replace(ABOUT, about)).settings.needs

    assert ("true", "more") == (need.check, need.otherwise)


def test_an_output_is_held_against_the_patterns() -> None:
    wanted = Expectation(shows=("^b +1", "a$"), hides=("error",))

    assert "" == wanted.find_mismatch("a\nb 1\n")
    assert "it does not show “a$”" == wanted.find_mismatch("b 1\n")
    assert "it shows “error”, which must not be there" == wanted.find_mismatch("a\nb 1\nerror\n")
