"""The texts that are read, and the text that is written."""

import pytest
import yaml

from hack.testkit.yaml_text import parse_yaml
from selfhealing.importer.object_text import ImportRefusedError, read_objects
from selfhealing.importer.run import import_app
from selfhealing.importer.yaml_text import format_result
from tests.unit.importer.manifests import child, container, deployment, gaps


def test_comments_do_not_end_before_their_line() -> None:
    found = deployment()
    found["metadata"]["annotations"] = {"note": "a\nspec: {image: evil}\u2028x"}
    text = format_result(import_app([found]))

    assert parse_yaml(text)["spec"] == {"image": "registry.example.com/web:v1"}
    assert "Deployment.metadata.annotations.note" in text


def test_a_value_is_shown_as_it_is() -> None:
    """Characters that turn or hide what a reader sees are escapes; all others stay."""
    hidden = "a\u202eb\u2066c\u200bd\U000e0041\x07"
    script = "if true\n  then echo 你好\nfi\n"
    found = deployment(
        container(args=[hidden, script, "Grüße"], env=[{"name": "X", "value": "\t"}])
    )
    text = format_result(import_app([found]))

    assert all(char.isprintable() or char in "\n\t" for char in text)
    assert [hidden, script, "Grüße"] == parse_yaml(text)["spec"]["args"]
    assert "      then echo 你好\n" in text


def test_aliases_are_bounded() -> None:
    """Eight lines can stand for a billion parts; a few aliases are usual."""
    lines = ["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(1, 9))]
    with pytest.raises(ImportRefusedError, match="its aliases make more than 1000000 parts of it"):
        read_objects("kind: X\n" + "\n".join(lines), "f")

    text = "kind: X\na: &a {b: 1}\nc: *a\n"
    assert [{"kind": "X", "a": {"b": 1}, "c": {"b": 1}}] == read_objects(text, "f")
    with pytest.raises(ImportRefusedError, match="is not YAML or JSON"):
        read_objects("kind: X\na: &a [*a]\n", "f")


def test_a_fraction_is_written_in_quotes() -> None:
    """A Deployment takes it without, but the resource does not: it would be a number there."""
    resources = {"requests": {"cpu": 0.5}, "limits": {"cpu": 1.0, "memory": 1000000}}
    scaler = child(
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        maxReplicas=3,
        metrics=[
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "rps"},
                    "target": {"type": "AverageValue", "averageValue": 0.25},
                },
            }
        ],
    )
    result = import_app([deployment(container(resources=resources)), scaler])
    spec = result.app["spec"]

    assert {"requests": {"cpu": "0.5"}, "limits": {"cpu": "1.0", "memory": 1000000}} == (
        spec["resources"]
    )
    assert "0.25" == spec["autoscaling"]["metrics"][0]["pods"]["target"]["averageValue"]
    assert {} == gaps(result)
    assert "cpu: '0.5'\n" in format_result(result)


@pytest.mark.parametrize("text", ["1e3", "5e-1", "12e5", "0o17", "0x1f", ".5", "7"])
def test_a_text_that_looks_like_a_number_is_written_in_quotes(text: str) -> None:
    """PyYAML reads some of them as text, and kubectl as numbers."""
    env = [{"name": "COMMIT", "value": text}]

    shown = format_result(import_app([deployment(container(env=env))]))

    assert f"value: '{text}'\n" in shown


def test_lists_and_many_documents_are_read() -> None:
    text = yaml.dump({"kind": "List", "items": [deployment()]}) + "---\n---\n{kind: X}\n"

    assert [each["kind"] for each in read_objects(text, "f")] == ["Deployment", "X"]


def test_a_time_is_a_string() -> None:
    assert read_objects("{kind: X, at: 2020-01-01T00:00:00Z}", "f") == [
        {"kind": "X", "at": "2020-01-01T00:00:00Z"}
    ]


def test_the_backup_of_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small limit: to parse 10,000 objects takes seconds."""
    monkeypatch.setattr("selfhealing.importer.object_text.MAX_OBJECTS", 100)
    with pytest.raises(ImportRefusedError, match="more than 100 objects: write fewer files"):
        read_objects("---\n{kind: X}\n" * 101, "f")
    assert 100 == len(read_objects("---\n{kind: X}\n" * 100, "f"))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("kind: &a [*a]", "is not YAML or JSON"),
        ("{kind: X, 1: x}", "is not YAML or JSON"),
        ("{kind: X, n: 99999999999999999999999}", "is not YAML or JSON"),
        ("a: {{ .Values }}", "helm template"),
        ("just text", "apiVersion, kind and metadata"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, advice: str) -> None:
    with pytest.raises(ImportRefusedError, match=advice):
        read_objects(text, "web.yaml")
