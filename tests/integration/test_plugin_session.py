"""The session that docs/plugin.md shows is a real one.

The page is the script: the commands of its blocks below ``<!-- recorded -->`` are run in their
order, on an app in the healing mode Approve whose new version cannot be pulled. ``REFRESH=1``
writes the outputs into the page, in both languages, and the picture beside it.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from hack.scenarios.lab.output_compare import normalize_output
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.healing import create_stable_app, fail_image_pulls, wait_for_outcomes
from hack.testkit.namespace import AppNamespace
from selfhealing.plugin.command.main import PROGRAM, cli

pytestmark = pytest.mark.usefixtures("operator")

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGES: Final = (DOCS / "plugin.md", DOCS / "zh" / "plugin.md")
PICTURE: Final = DOCS / "img" / "plugin-session.svg"
APP, NAMESPACE, BAD_IMAGE = "web", "shop", "demo:v2"

BLOCK: Final = re.compile(r"(?<=<!-- recorded -->\n```console\n).*?(?=```\n)", re.DOTALL)
FONT: Final = re.compile(r"@font-face \{\{.*?\}\}\n", re.DOTALL)
"""What would load a font from the internet; without it the font of the reader is used."""

COUNTS: Final = re.compile(r" and N more|; N old pods? still serves?")
VARYING: Final = re.compile(r"[│├└]|how that was found|怎样判定的|N-N N:N:N (?!.* ✔ Rollback)")
"""Lines that depend on how far the rollout is, or on Events that may come later."""

WIDTH: Final = 110
"""Columns of the terminal in the picture."""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A twentieth of the time."""
    return {"SELFHEALING_HEALING_SCALE": "0.05"}


def list_commands(block: str) -> Iterator[str]:
    """Yield the commands of a block, without the prompt."""
    return (line[2:] for line in block.splitlines() if line.startswith("$ "))


def replace_blocks(text: str, blocks: Sequence[str]) -> str:
    """Return the text of a page with other recorded blocks."""
    following = iter(blocks)
    return BLOCK.sub(lambda _: next(following), text)


def list_facts(block: str) -> set[str]:
    """Return what must not change in the outputs of a block.

    How far the rollout is when the operator looks differs from run to run, and so do the tree of
    the objects and the entries of the time line; of that only the end is compared.
    """
    lines = (COUNTS.sub("", line) for line in normalize_output(block))
    facts = (line for line in lines if not VARYING.search(line))
    return {" ".join(line.split()[:6]) if line.startswith("N-N") else line for line in facts}


def test_the_recorded_session(space: AppNamespace, kubelet: FakeKubelet) -> None:
    create_stable_app(space, APP, mode="Approve")
    space.patch_spec(APP, image=BAD_IMAGE)
    fail = partial(fail_image_pulls, space, kubelet, APP, BAD_IMAGE)
    wait_for_outcomes(space, APP, ("Rollback", "Proposed"), before_probe=fail)

    def run(command: str) -> str:
        words = command.removeprefix(PROGRAM).split()
        done = CliRunner().invoke(cli, [*words, "-n", space.name], PROGRAM, color=True)
        if words[0] == "approve":
            wait_for_outcomes(space, APP, ("Rollback", "Succeeded"))
        return f"$ {command}\n{done.output.replace(space.name, NAMESPACE)}"

    shown = BLOCK.findall(PAGES[0].read_text(encoding="utf-8"))
    recorded = ["".join(map(run, list_commands(block))) for block in shown]
    plain = [click.unstyle(block) for block in recorded]
    if os.environ.get("REFRESH"):
        for page in PAGES:
            page.write_text(replace_blocks(page.read_text(encoding="utf-8"), plain))
        write_picture(recorded[0])
        return

    assert list(map(list_facts, shown)) == list(map(list_facts, plain)), "REFRESH=1 writes it"


def write_picture(session: str) -> None:
    """Draw a session in colours, as a terminal shows it."""
    with Path(os.devnull).open("w") as sink:
        console = Console(record=True, width=WIDTH, file=sink, color_system="standard")
        console.print(Text.from_ansi(session.rstrip("\n")))
        svg = console.export_svg(
            title=PROGRAM, code_format=FONT.sub("", CONSOLE_SVG_FORMAT), unique_id="session"
        )
    PICTURE.write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8")
