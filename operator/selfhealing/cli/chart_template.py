"""Helm templates made of Kubernetes objects.

An object is dumped as YAML with placeholders for what a value of the chart decides, and each
placeholder is then replaced by a Helm expression. Objects that differ by a value are dumped once
for each of its variants; what not all variants have is put into a condition.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal, TypeVar

Kind = Literal["text", "scalar", "block", "optional", "lines"]

_Variant = TypeVar("_Variant")

_NEST = 2
"""Spaces by which a mapping below a key is indented."""


@dataclass(frozen=True, slots=True)
class _Placeholder:
    token: str
    expression: str
    kind: Kind


class Placeholders:
    """Gives out the strings that stand for Helm expressions, and replaces them.

    An expression is written without its braces; it begins at ``$``, the root of the template.
    """

    def __init__(self) -> None:
        self._placeholders: list[_Placeholder] = []

    def text(self, expression: str) -> str:
        """Return a placeholder for a string, or for a part of one."""
        return self._add(expression, "text")

    def scalar(self, expression: str) -> str:
        """Return a placeholder for the whole of a value, which needs no quotes."""
        return self._add(expression, "scalar")

    def block(self, expression: str) -> str:
        """Return a placeholder for a mapping or a list, as the value of a key or a list's item.

        The expression renders it as YAML; as an item, it renders several items.
        """
        return self._add(expression, "block")

    def optional(self, expression: str) -> str:
        """Return a placeholder for the value of a key that is left out where the value is empty."""
        return self._add(expression, "optional")

    def lines(self, template: str) -> str:
        """Return a placeholder for an item of a list that lines of a template replace."""
        return self._add(template, "lines")

    def _add(self, expression: str, kind: Kind) -> str:
        for known in self._placeholders:
            if (known.expression, known.kind) == (expression, kind):
                return known.token
        # Letters and digits, so that it needs no quotes in YAML and breaks no line.
        token = f"HELM{len(self._placeholders):03}HELM"
        self._placeholders.append(_Placeholder(token, expression, kind))
        return token

    def fill(self, text: str) -> str:
        """Replace the placeholders in YAML, and keep the lines of conditions.

        Raises:
            ValueError: a line has braces that are none of a condition: Helm would read them.
        """
        return "".join(f"{self._fill_line(line)}\n" for line in text.splitlines())

    def _fill_line(self, line: str) -> str:
        is_condition = line.lstrip().startswith("{{-")
        if "{{" in line and not is_condition:
            raise ValueError(f"Helm would read the braces of this line: {line}")
        for placeholder in self._placeholders:
            if placeholder.token in line:
                line = _replace(line, placeholder)
        return line


def _replace(line: str, placeholder: _Placeholder) -> str:
    head, _, tail = line.partition(placeholder.token)
    expression = placeholder.expression
    indent = " " * (len(head) - len(head.lstrip(" ")))
    below = len(head) - len(head.lstrip(" -")) + _NEST
    match placeholder.kind:
        case "text" if not tail and head.endswith((": ", "- ")):
            filled = f"{head}{{{{ {expression} | quote }}}}"
        case "text":
            filled = line.replace(placeholder.token, f"{{{{ {expression} }}}}")
        case "scalar":
            filled = f"{head}{{{{ {expression} }}}}"
        case "block" if head.strip() == "-":
            filled = f"{indent}{{{{- {expression} | nindent {len(indent)} }}}}"
        case "block":
            filled = f"{head}{{{{- {expression} | nindent {below} }}}}"
        case "optional":
            value = f"{head}{{{{- toYaml . | nindent {below} }}}}"
            filled = f"{indent}{{{{- with {expression} }}}}\n{value}\n{indent}{{{{- end }}}}"
        case "lines":
            filled = "\n".join(f"{indent}{each}" for each in expression.splitlines())
    return filled


def merge_variants(
    texts: Mapping[_Variant, str], condition: Callable[[frozenset[_Variant]], str]
) -> str:
    """Return a template that renders each variant's text where the chart has that variant.

    Args:
        texts: the text of each variant, of whole lines.
        condition: the Helm expression that is true for these variants and no others; it is not used
            for a text that all variants have.
    """
    parts: list[str] = []
    for variants, group in groupby(align_blocks(texts), key=lambda block: block[1]):
        text = "".join(block for block, _ in group)
        if variants != frozenset(texts):
            text = f"{{{{- if {condition(variants)} }}}}\n{text}{{{{- end }}}}\n"
        parts.append(text)
    return "".join(parts)


def align_blocks(texts: Mapping[_Variant, str]) -> Sequence[tuple[str, frozenset[_Variant]]]:
    """Return the blocks of all texts in one order, each with the variants that have it.

    A block is a line that is not indented, with the indented lines below it. The blocks that a
    variant has are its text.
    """
    aligned: list[tuple[str, frozenset[_Variant]]] = []
    for variant, text in texts.items():
        aligned = list(_align_variant(aligned, list(_split_blocks(text)), variant))
    return aligned


def _split_blocks(text: str) -> Iterator[str]:
    block = ""
    for line in text.splitlines(keepends=True):
        if block and not line.startswith(" "):
            yield block
            block = ""
        block += line
    if block:
        yield block


def _align_variant(
    aligned: Sequence[tuple[str, frozenset[_Variant]]], blocks: Sequence[str], variant: _Variant
) -> Iterator[tuple[str, frozenset[_Variant]]]:
    matcher = SequenceMatcher(None, [block for block, _ in aligned], blocks, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield from ((block, found | {variant}) for block, found in aligned[old_start:old_end])
            continue
        yield from aligned[old_start:old_end]
        yield from ((block, frozenset({variant})) for block in blocks[new_start:new_end])
