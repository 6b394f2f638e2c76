"""A hook of MkDocs: separates the words of Chinese in the search index, which has no spaces.

The words are separated by a zero-width space, at which the search splits (build.py). It runs in the
environment of MkDocs, which alone has the segmenter.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import rjieba  # type: ignore[import-not-found]
from mkdocs.plugins import event_priority  # type: ignore[import-not-found]

_CHINESE: Final = re.compile(r"[\u4e00-\u9fff]{2,}")
_AFTER_SEARCH: Final = -50
"""Before the offline plugin (-100) copies the index into a script."""


def _list_terms(glossary: str) -> list[str]:
    """The words of the glossary, the longest first; among others the segmenter may split them."""
    terms = re.findall(r"^\| ([\u4e00-\u9fff]{2,}) \|", glossary, re.MULTILINE)
    words = (term for term in terms if len(rjieba.cut(term)) == 1)
    return sorted(words, key=len, reverse=True)


@event_priority(_AFTER_SEARCH)  # type: ignore[untyped-decorator]
def on_post_build(*, config: Any) -> None:  # noqa: ANN401 - MkDocs' own type is not at hand
    """Separate the words in the titles and texts of the index."""
    terms = _list_terms((Path(config.docs_dir) / "glossary.md").read_text(encoding="utf-8"))
    known = "|".join(terms) or "$^"
    pattern = re.compile(f"{known}|(?:(?!{known})[\u4e00-\u9fff])+")

    def separate(match: re.Match[str]) -> str:
        words: list[str] = []
        for run in pattern.findall(match[0]):
            for word in [run] if run in terms else rjieba.cut(run):
                # In a query the search takes a word of one character for the whole of a longer one.
                if len(word) == 1 and words:
                    words[-1] += word
                else:
                    words.append(word)
        return "\u200b".join(words)

    path = Path(config.site_dir) / "search" / "search_index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    for page in index["docs"]:
        for field in ("title", "text"):
            page[field] = _CHINESE.sub(separate, page[field])
    path.write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
