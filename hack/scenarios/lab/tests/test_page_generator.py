from pathlib import Path

import pytest
import yaml

from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.output_compare import has_same_content, has_same_heading
from hack.scenarios.lab.page_generator import (
    clean_output,
    insert_included_texts,
    insert_outputs,
    insert_shared_blocks,
)
from hack.scenarios.lab.page_parser import Page, parse_page
from hack.scenarios.lab.plain_manifests import render_plain_manifests
from hack.testkit.yaml_text import parse_yaml, parse_yaml_documents

TEXT = """# 1. Step

<!-- lab page: {seconds: 5} -->

<!-- lab: {file: small.yaml} -->
```yaml
old
```

```sh
kubectl get pod
```

```text
NAME   READY   AGE
web-6c4c475775-vvjwz   1/1   8s
```

```sh
true
```

<!-- lab: {plain: small.yaml} -->
```yaml
```
"""
SMALL = """\
apiVersion: selfhealing.dev/v1alpha1
kind: SelfHealingApp
metadata: {name: web}
spec: {image: "web:1", port: 80}
"""
CHINESE = """# 1. 步骤

```yaml
```

```sh
something else
```

```text
```

```sh
```

```yaml
```
"""


@pytest.fixture
def page() -> Page:
    return parse_page(Path("docs/lab/01-step.md"), TEXT)


def test_files_and_plain_manifests_are_put_in(page: Page) -> None:
    new = parse_page(page.path, insert_included_texts(page, {"small.yaml": SMALL}.__getitem__))

    assert SMALL == new.blocks[0].text
    assert ["Deployment", "Service"] == [
        found["kind"] for found in parse_yaml_documents(new.blocks[-1].text)
    ]
    assert new.text == insert_included_texts(new, {"small.yaml": SMALL}.__getitem__)


def test_a_block_is_either_a_file_or_made_of_one(page: Page) -> None:
    both = parse_page(page.path, TEXT.replace("{file: small.yaml}", "{file: a, plain: b}"))

    with pytest.raises(PageError, match="md:6: say either file or plain"):
        insert_included_texts(both, lambda _: "")


def test_the_plain_manifest_is_what_a_person_would_write() -> None:
    deployment, service = parse_yaml_documents(render_plain_manifests(SMALL))

    assert {"name": "web", "labels": {"app": "web"}} == deployment["metadata"]
    assert {"matchLabels": {"app": "web"}} == deployment["spec"]["selector"]
    assert {"labels": {"app": "web"}} == deployment["spec"]["template"]["metadata"]
    assert {"app": "web"} == service["spec"]["selector"]
    assert "selfhealing.dev" not in render_plain_manifests(SMALL)


def test_other_objects_of_a_manifest_stay_as_they_are() -> None:
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}

    assert given == parse_yaml(render_plain_manifests(yaml.safe_dump(given)))


def test_an_output_of_the_same_shape_changes_nothing(page: Page) -> None:
    again = "NAME                   READY   AGE\nweb-5bbf9c8d6f-x2z9p   1/1     2m13s\n"

    assert TEXT == insert_outputs(page, [again, ""])


def test_an_output_of_another_shape_is_put_in(page: Page) -> None:
    other = "NAME                   READY   AGE\nweb-5bbf9c8d6f-x2z9p   Error   3s\n\n"

    new = parse_page(page.path, insert_outputs(page, [other, ""]))

    assert other.strip() + "\n" == new.blocks[2].text
    assert [block.text for block in page.blocks[:2]] == [block.text for block in new.blocks[:2]]


def test_the_clone_s_name_stays_out_of_the_pages() -> None:
    table = "NODE                          AGE\nselfhealing-f2af6c09-worker   4h\n"

    assert "on kind-worker, ready\n" == clean_output("\non selfhealing-f2af6c09-worker, ready\n\n")
    assert "NODE                          AGE\nkind-worker                   4h\n" == clean_output(
        table
    )


def test_another_language_takes_its_blocks_from_the_english_page(page: Page) -> None:
    text = insert_shared_blocks(page, Path("zh/01-step.md"), CHINESE)

    assert "# 1. 步骤" in text
    assert "something else" not in text
    assert [block.text for block in page.blocks] == [
        block.text
        for block in parse_page(page.path, f"{text}<!-- lab page: {{seconds: 1}} -->").blocks
    ]


def test_another_language_with_other_blocks_is_refused(page: Page) -> None:
    with pytest.raises(PageError, match=r"zh/01-step\.md: its blocks are \['yaml'\]"):
        insert_shared_blocks(page, Path("zh/01-step.md"), "```yaml\n```\n")


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("web-6c4c475775-vvjwz 1/1 8s", "web-5bbf9c8d6f-x2z9p   1/1   11m", True),
        ("80:31571/TCP 10.0.0.1", "80:30001/TCP 10.96.74.42", True),
        ("at 2026-11-23T12:00:00Z", "at 2027-01-01T00:00:01.5+01:00", True),
        ("lab-ppnjk 5000", "lab-x2k9z 5000", True),
        ("cpu: 31%/50%", "cpu: 7%/50%", True),
        ("Ready 1/1", "Degraded 0/1", False),
        ("one line", "one line\nand another", False),
        ("service/liveness", "service/readiness", False),
    ],
)
def test_what_no_two_runs_have_in_common_does_not_count(old: str, new: str, *, same: bool) -> None:
    assert same is has_same_content(old, new)


def test_outputs_are_of_one_kind_by_their_first_words() -> None:
    assert has_same_heading("NAME STATUS READY\nlab Ready", "NAME   STATUS   RESTARTS\nother")
    assert not has_same_heading("NAME STATUS", "error: no such thing")
    assert not has_same_heading("NAME", "")
    assert has_same_heading("", "\n")
