"""The difference between two pod templates, without secrets."""

from typing import Any

import pytest
import yaml

from selfhealing.evidence.template_diff import MAX_LINES, diff_templates

Json = dict[str, Any]


def template(*env: Json, image: str = "web:v1", **more: object) -> Json:
    """A pod template with one container."""
    container = {"name": "app", "image": image, "env": list(env), **more}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def var(name: str, value: str) -> Json:
    """An environment variable."""
    return {"name": name, "value": value}


def lines(stable: Json, desired: Json) -> tuple[list[str], list[str]]:
    """The lines only in the stable template, and the lines only in the desired one."""
    found = diff_templates(stable, desired).splitlines()[2:]
    return (
        [line[1:].strip() for line in found if line.startswith("-")],
        [line[1:].strip() for line in found if line.startswith("+")],
    )


def test_equal_templates() -> None:
    """The order of the fields does not matter."""
    one = template(var("A", "1"))
    other = {"spec": one["spec"], "metadata": one["metadata"]}

    assert "" == diff_templates(one, other)


def test_it_is_a_diff_from_the_stable_to_the_desired_revision() -> None:
    """As a unified diff."""
    found = diff_templates(template(), template(image="web:v2"))

    assert found.startswith("--- the stable revision\n+++ the desired revision\n@@ ")
    assert (["image: web:v1"], ["image: web:v2"]) == lines(template(), template(image="web:v2"))


def test_a_changed_value_is_marked_and_not_shown() -> None:
    """The variable is found by its name, at any position."""
    stable = template(var("A", "hidden"), var("B", "same"))
    desired = template(var("B", "same"), var("A", "seen"))
    found = diff_templates(stable, desired)

    assert "hidden" not in found
    assert "seen" not in found
    assert "same" not in found
    assert "value: <redacted, changed>" in lines(stable, desired)[1]


def test_a_new_value_is_not_shown_either() -> None:
    """Only its name is shown."""
    stable, desired = template(var("A", "1")), template(var("A", "1"), var("B", "hidden"))

    assert ([], ["- name: B", "value: <redacted>"]) == lines(stable, desired)


def test_a_value_that_came_from_elsewhere_before_is_not_shown() -> None:
    """The reference that it replaces is shown."""
    source = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "web", "key": "a"}}}
    gone, new = lines(template(source), template(var("A", "hidden")))

    assert ["value: <redacted>"] == new
    assert ["valueFrom:", "secretKeyRef:", "key: a", "name: web"] == gone


def test_headers_of_probes_are_as_variables() -> None:
    """They have a name and a value, too."""
    header = {"httpGet": {"path": "/", "httpHeaders": [var("X-Who", "hidden")]}}
    found = diff_templates(template(), template(livenessProbe=header))

    assert "X-Who" in found
    assert "hidden" not in found


@pytest.mark.parametrize(
    "hidden",
    [
        {"args": ["--password=hunter2"]},
        {"args": ["--password", "x", "postgres://bob:hunter2@db"]},
        {"command": ["sh", "-c", "echo '-----BEGIN PRIVATE KEY-----\nhunter2\n' > key\nrun"]},
        {"args": ["--db-password", "hunter2", "-token", "hunter2"]},
        {"password": "hunter2 and " * 50 + "hunter2"},
    ],
)
def test_secrets_elsewhere_are_masked(hidden: Json) -> None:
    """In arguments, in scripts and in long lines."""
    found = diff_templates(template(), template(**hidden))

    assert "hunter2" not in found
    assert "<redacted>" in found


def test_a_change_of_type_is_shown() -> None:
    """A new list, or a number instead of a string."""
    stable = {"spec": {"containers": "none", "volumes": ["a", 1]}}
    desired = {"spec": {"containers": [{"name": "app"}], "volumes": ["a", 2, {"name": "x"}]}}
    gone, new = lines(stable, desired)

    assert ["containers: none", "- 1"] == gone
    assert ["containers:", "- name: app", "- 2", "- name: x"] == new


def test_the_templates_are_not_changed() -> None:
    """They are applied later."""
    stable, desired = template(var("A", "1")), template(var("A", "2"))
    before = yaml.safe_dump([stable, desired])
    diff_templates(stable, desired)

    assert before == yaml.safe_dump([stable, desired])


def test_templates_of_many_lines_are_not_compared() -> None:
    """That takes quadratic time."""
    large = {"args": [f"line {number}" for number in range(MAX_LINES + 1)]}

    assert f"too large to compare: {MAX_LINES + 2} and 1 lines" == diff_templates(large, {"a": 1})
