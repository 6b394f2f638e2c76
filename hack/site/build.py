"""Builds the site: converts the pages, runs MkDocs for each language, and checks every link.

The two languages are two builds, because the theme, the search and the navigation each have one
language: English at the root of the site, Chinese below ``zh/``.
"""

import html
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from hack.site.links import check_site, resolve_site_links
from hack.site.navigation import NAVIGATION, list_section_pages
from hack.site.pages import (
    LANGUAGES,
    ROOT,
    Sources,
    convert_page,
    file_url,
    find_pages,
    list_folder,
)

WORK: Final = ROOT / ".artifacts" / "site-build"
SITE: Final = ROOT / ".artifacts" / "site"
HERE: Final = Path(__file__).parent
TIMEOUT: Final = 300
"""Seconds for the build of one language, which takes about ten."""

_SWITCH: Final = {"en": ("zh", "中文", "zh/index.html"), "zh": ("en", "English", "../index.html")}

_SEPARATORS: Final = {
    "en": r"[\s\-,:!=\[\]()\"`/]+|\.(?!\d)",
    "zh": r"[\s\u200b\-,:!=\[\]()\"`/、。，：！？；（）]+|\.(?!\d)",
}
"""Where the search splits words; chinese_search.py separates those of Chinese."""


def build_site(mkdocs: str) -> list[str]:
    """Build both languages into ``SITE`` and return what is wrong with the links.

    Args:
        mkdocs: the path of the program.

    Raises:
        subprocess.CalledProcessError: MkDocs found something wrong; it has said what.
        ValueError: a page links to nothing.
    """
    shutil.rmtree(SITE, ignore_errors=True)
    sources = find_pages()
    files: set[str] = set()
    for language in LANGUAGES:
        files |= write_sources(sources, language, WORK / language)
        config = WORK / f"{language}.yml"
        config.write_text(_format_config(sources, language), encoding="utf-8")
        subprocess.run(
            [mkdocs, "build", "--strict", "--quiet", "--config-file", str(config)],
            check=True,
            timeout=TIMEOUT,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        )
    for source in sorted(files):
        _copy_file(source)
    # The theme's page for a missing address works only at the root of a server.
    for page in SITE.rglob("404.html"):
        page.unlink()
    resolve_site_links(SITE)
    return check_site(SITE)


def write_sources(sources: Sources, language: str, folder: Path) -> set[str]:
    """Write the pages of one language into ``folder`` and return the files they link to."""
    shutil.rmtree(folder, ignore_errors=True)
    files: set[str] = set()
    for page in sources.pages.values():
        if page.language != language:
            continue
        text = (sources.root / page.source).read_text(encoding="utf-8")
        converted, linked = convert_page(page, text, sources)
        files |= linked
        target = folder / page.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(converted, encoding="utf-8")
    shutil.copytree(sources.root / "docs" / "img", folder / "img")
    shutil.copytree(HERE / "assets", folder / "assets")
    return files


def _format_config(sources: Sources, language: str) -> str:
    other_language, other_name, other_home = _SWITCH[language]
    config: dict[str, Any] = {
        "INHERIT": str(HERE / "mkdocs.yml"),
        "site_name": "SelfHealingApp",
        "docs_dir": str(WORK / language),
        "site_dir": str(SITE if language == "en" else SITE / language),
        "theme": {"language": language, "custom_dir": str(HERE / "overrides")},
        "nav": list(_navigation(sources, language)),
        "plugins": {
            "search": {"lang": "en", "separator": _SEPARATORS[language], "pipeline": []},
            "offline": {},
        },
        "hooks": [str(HERE / "chinese_search.py")] if language == "zh" else [],
        "extra": {
            # Includes the language switch; a list would name single addresses for all pages.
            "alternate": True,
            "other_language": other_language,
            "other_name": other_name,
            "other_home": other_home,
            "polyfills": ["assets/iframe-worker.js"],
        },
    }
    return yaml.safe_dump(config, allow_unicode=True, sort_keys=False)


def _navigation(sources: Sources, language: str) -> Iterator[dict[str, list[str]]]:
    """The sections with the pages that the language has."""
    paths = {page.path for page in sources.pages.values() if page.language == language}
    for section in NAVIGATION:
        pages = list_section_pages(section, paths)
        if pages:
            yield {section.titles[language]: pages}


def _copy_file(source: str) -> None:
    """Copy a file that a page links to; of a folder, all of its files and a list of them."""
    if not (ROOT / source).is_dir():
        target = SITE / file_url(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, target)
        return
    names = list_folder(source)
    for name in names:
        _copy_file(name)
    rows = "\n".join(
        f'<li><a href="{html.escape(os.path.relpath(name, source))}.txt">{html.escape(name)}</a>'
        for name in names
    )
    target = SITE / file_url(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(source)}</title>'
        '<meta name="viewport" content="width=device-width">'
        "<style>:root{color-scheme:light dark}"
        f"body{{font:16px system-ui;margin:2rem}}</style><h1>{html.escape(source)}</h1>"
        f"<ul>\n{rows}\n</ul></html>\n",
        encoding="utf-8",
    )


def main(mkdocs: str) -> int:
    """Build the site, print what is wrong, and return the exit code."""
    try:
        problems = build_site(mkdocs)
    except subprocess.CalledProcessError as error:
        print(f"mkdocs ended with {error.returncode}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        count = sum(1 for _ in SITE.rglob("*.html"))
        print(f"{SITE.relative_to(ROOT)}: {count} pages, every link leads somewhere")
    return 1 if problems else 0
