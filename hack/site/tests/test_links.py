"""The walk over the built site finds what leads nowhere and what needs the internet."""

from pathlib import Path

import pytest

from hack.site.links import check_site, resolve_site_links


def write(folder: Path, name: str, text: str) -> None:
    """Write a file of the site."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<a href="b/index.html#part">', None),
        ('<a href="b">', None),
        ('<a href="https://example.com">', None),
        ('<a href="#__search">', None),
        ('<img src="data:image/png;base64,AA">', None),
        ('<a href="c.html">', "c.html leads to nothing"),
        ('<a href="../x.html">', "../x.html leads to nothing"),
        ('<a href="b/index.html#other">', "b/index.html#other names no heading"),
        ('<a href="#other">', "#other names no heading"),
        ('<a href="site:x">', "site:x has no known scheme"),
        ('<script src="https://example.com/x.js">', "https://example.com/x.js is loaded from"),
        ('<img src="//example.com/x.png">', "//example.com/x.png is loaded from"),
    ],
)
def test_links(tmp_path: Path, text: str, problem: str | None) -> None:
    write(tmp_path, "a.html", text)
    write(tmp_path, "b/index.html", '<h2 id="part">')

    found = check_site(tmp_path)

    assert len(found) == (problem is not None)
    assert all(each.startswith(f"a.html: {problem}") for each in found)


def test_styles_that_load_from_another_host(tmp_path: Path) -> None:
    write(tmp_path, "a.css", "@font-face { src: url('https://example.com/x.woff2') }")

    assert check_site(tmp_path) == ["a.css: loads from another host"]


def test_links_from_the_root_of_the_site_become_relative(tmp_path: Path) -> None:
    write(tmp_path, "zh/a/b.html", '<a href="site:c.html#d">')
    resolve_site_links(tmp_path)

    assert (tmp_path / "zh/a/b.html").read_text() == '<a href="../../c.html#d">'
