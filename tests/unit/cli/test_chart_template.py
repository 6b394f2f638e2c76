"""Objects become Helm templates that render them again, with what a value decides."""

import re
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given, strategies as st

from selfhealing.cli.chart_template import Placeholders, align_blocks, merge_variants

LINES = st.lists(st.sampled_from(["a:", "  a", "b:", "  - b", "---", "- c"]), max_size=12)
TEXTS = st.dictionaries(
    st.sampled_from(["one", "two", "three"]),
    LINES.map(lambda lines: "".join(f"{line}\n" for line in lines)),
    min_size=1,
)


def render(template: str, variant: str) -> str:
    """Render the conditions of a template, as Helm does, where they list the variants."""
    shown, is_shown = "", True
    for line in template.splitlines(keepends=True):
        if line.startswith("{{- if"):
            is_shown = variant in line
        elif line.startswith("{{- end"):
            is_shown = True
        elif is_shown:
            shown += line
    return shown


@given(TEXTS)
def test_the_blocks_of_a_variant_are_its_text(texts: Mapping[str, str]) -> None:
    aligned = align_blocks(texts)

    for variant, text in texts.items():
        assert text == "".join(block for block, variants in aligned if variant in variants)


@given(TEXTS)
def test_a_template_renders_each_variant(texts: Mapping[str, str]) -> None:
    template = merge_variants(texts, lambda variants: " ".join(sorted(variants)))

    for variant, text in texts.items():
        assert text == render(template, variant)


def test_what_all_variants_have_is_in_no_condition() -> None:
    text = merge_variants({False: "a: 1\nc: 3\n", True: "a: 1\nb: 2\nc: 3\n"}, str)

    assert "a: 1\n{{- if frozenset({True}) }}\nb: 2\n{{- end }}\nc: 3\n" == text


def fill(holders: Placeholders, value: object) -> str:
    return holders.fill(yaml.safe_dump({"spec": {"field": value}}))


def test_a_text_is_quoted_where_it_is_the_whole_value() -> None:
    holders = Placeholders()
    name = holders.text("$.Release.Name")

    assert "spec:\n  field: {{ $.Release.Name | quote }}\n" == fill(holders, name)
    assert "spec:\n  field: a-{{ $.Release.Name }}-b\n" == fill(holders, f"a-{name}-b")
    assert "spec:\n  field:\n  - {{ $.Release.Name | quote }}\n" == fill(holders, [name])


def test_every_part_of_a_text_is_filled() -> None:
    holders = Placeholders()
    one, two = holders.text("$.one"), holders.text("$.two")

    assert "spec:\n  field: {{ $.one }}:{{ $.two }}:{{ $.one }}\n" == fill(
        holders, f"{one}:{two}:{one}"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("scalar", "  field: {{ $.x }}\n"),
        ("block", "  field: {{- $.x | nindent 4 }}\n"),
        (
            "optional",
            "  {{- with $.x }}\n  field: {{- toYaml . | nindent 4 }}\n  {{- end }}\n",
        ),
    ],
)
def test_a_value_is_what_its_kind_says(kind: str, expected: str) -> None:
    holders = Placeholders()
    placeholder = getattr(holders, kind)("$.x")

    assert f"spec:\n{expected}" == fill(holders, placeholder)


def test_items_are_filled_at_the_indentation_of_their_list() -> None:
    holders = Placeholders()
    items = [holders.block("toYaml $.x"), holders.lines("{{- range $.y }}\n- {{ . }}\n{{- end }}")]

    assert (
        "spec:\n  field:\n  {{- toYaml $.x | nindent 2 }}\n"
        "  {{- range $.y }}\n  - {{ . }}\n  {{- end }}\n"
    ) == fill(holders, items)


def test_equal_expressions_have_one_placeholder() -> None:
    """Two variants of an object that use the same expression do not differ by it."""
    holders = Placeholders()

    assert holders.text("$.x") == holders.text("$.x")
    assert len({holders.text("$.x"), holders.scalar("$.x"), holders.text("$.y")}) == 3


def test_braces_that_helm_would_read_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("summary: '{{ $value }}'")):
        Placeholders().fill("summary: '{{ $value }}'\n")
