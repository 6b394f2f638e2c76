"""A page is played with a real bash; of the cluster there is only what it is asked for."""

import time
from pathlib import Path

import pytest

from hack.scenarios.common.console import Progress
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Json
from hack.scenarios.common.plain_console import PlainScreen
from hack.scenarios.lab.__main__ import play
from hack.scenarios.lab.page_parser import Page, parse
from hack.scenarios.lab.runner import Stage


class _Kube:
    """A cluster with nothing in it."""

    namespace = "lab"

    def __init__(self) -> None:
        self.cleared: list[str] = []

    def read(self, path: str, *, table: bool = False) -> Json | None:
        if "metrics.k8s.io" in path:
            raise ShowError("no metrics here")
        return None if table else {}

    def kubectl(self, arguments: str, *, seconds: float = 60) -> str:
        assert seconds > 0
        self.cleared.append(arguments)
        return ""

    def shown(self, arguments: str) -> str:
        return f"kubectl -n lab {arguments}"


@pytest.fixture
def kube() -> _Kube:
    return _Kube()


@pytest.fixture
def stage(kube: _Kube, tmp_path: Path) -> Stage:
    alone = {"PATH": "/usr/bin:/bin", "KUBECONFIG": str(tmp_path / "none")}
    return Stage(kube, tmp_path, tmp_path, PlainScreen(), alone)  # type: ignore[arg-type]


def page(body: str) -> Page:
    text = f"# 1. One step\n\n<!-- lab page: {{seconds: 5}} -->\n\n## Do it\n\n{body}"
    return parse(Path("docs/lab/01-one-step.md"), text)


def progress() -> Progress:
    return Progress(time.monotonic(), 5, 1, "kubectl get selfhealingapps")


def test_a_step_passes_when_every_block_shows_what_it_must(stage: Stage, kube: _Kube) -> None:
    played = page(
        '```sh\nNAME=web\n```\n\n<!-- lab: {shows: "^web 1$"} -->\n```sh\necho $NAME 1\n```\n\n'
        "```text\nweb 7\n```\n"
    )

    result = stage.play(played, progress())

    assert (result.passed, result.why, result.stale) == (True, "", ())
    assert ["", "web 1\n"] == [typed.output for typed in result.typed]
    assert len(result.line.marks) == 2
    assert result.word == "passed"
    assert any("delete" in command and "--all" in command for command in kube.cleared)


def test_a_block_is_repeated_until_it_shows_what_it_must(stage: Stage, tmp_path: Path) -> None:
    count = tmp_path / "count"
    played = page(
        '<!-- lab: {shows: "^3$", within: 20} -->\n'
        f"```sh\necho >> {count}\nwc -l < {count}\n```\n"
    )

    (typed,) = stage.play(played, progress()).typed

    assert (3, "3\n") == (typed.tries, typed.output)
    assert typed.until > typed.at


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('<!-- lab: {shows: "2"} -->\n```sh\necho 1\n```\n', "it does not show “2”"),
        ('<!-- lab: {hides: "1"} -->\n```sh\necho 1\n```\n', "it shows “1”"),
        (
            '<!-- lab: {shows: "2", within: 1} -->\n```sh\necho 1\n```\n',
            "it does not show “2” within 1 s",
        ),
        ("```sh\necho why >&2; exit 3\n```\n", "exit code 3, why"),
        ("```sh\nexit 3\n```\n", "exit code 3, nothing was printed"),
        ("<!-- lab: {exit: 1} -->\n```sh\necho 1\n```\n", "exit code 0, 1"),
        ("<!-- lab: {limit: 1} -->\n```sh\nsleep 60\n```\n", "it did not end within 1 s"),
    ],
)
def test_a_failure_says_where_and_what(stage: Stage, body: str, why: str) -> None:
    result = stage.play(page(body), progress())

    assert (result.passed, result.word) == (False, "FAILED")
    assert result.why.startswith("01-one-step.md, line ")
    assert why in result.why
    assert "kubectl" in result.remains


def test_what_puts_something_right_is_done_whatever_happens(stage: Stage, tmp_path: Path) -> None:
    played = page(
        "```sh\nNODE=worker\n```\n\n```sh\nfalse\n```\n\n```sh\ntouch never\n```\n\n"
        "<!-- lab: {always: true} -->\n```sh\ntouch started-$NODE\n```\n"
    )

    result = stage.play(played, progress())

    assert not result.passed
    assert (tmp_path / "started-worker").exists()
    assert not (tmp_path / "never").exists()


def test_ctrl_c_puts_it_right_too(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stage, "_do", interrupted)
    played = page("```sh\ntrue\n```\n\n<!-- lab: {always: true} -->\n```sh\ntouch back\n```\n")

    with pytest.raises(KeyboardInterrupt):
        stage.play(played, progress())

    assert (tmp_path / "back").exists()


def test_an_output_of_another_kind_than_in_the_page_is_noticed(stage: Stage) -> None:
    played = page("```sh\necho error: gone\n```\n\n```text\nNAME READY\n```\n")

    result = stage.play(played, progress())

    assert result.passed
    assert (str(played.blocks[1].line),) == result.stale


def test_a_node_of_another_clone_is_not_another_output(stage: Stage) -> None:
    played = page(
        "```sh\necho selfhealing-0123abcd-worker gone\n```\n\n```text\nkind-worker gone\n```\n"
    )

    assert () == stage.play(played, progress()).stale


@pytest.mark.parametrize(("named", "word"), [(False, "left out"), (True, "FAILED")])
def test_a_step_that_lacks_something_is_left_out_unless_it_is_asked_for(
    stage: Stage, word: str, *, named: bool
) -> None:
    needy = page("```sh\ntrue\n```\n").text.replace(
        "{seconds: 5}", "{seconds: 5, needs: [{check: 'false', otherwise: make cluster ADDONS=x}]}"
    )

    (result,) = play(stage, [parse(Path("01-a.md"), needy)], named=named)

    assert (word, ()) == (result.word, result.typed)
    assert "make cluster ADDONS=x" in result.said


def test_what_a_page_needs_is_looked_for(stage: Stage) -> None:
    text = page("```sh\ntrue\n```\n").text
    needy = (
        "{seconds: 5, needs: [{check: 'true', otherwise: one}, {check: 'false', otherwise: two}]}"
    )

    assert "" == stage.missing(parse(Path("01-a.md"), text))
    assert "two" == stage.missing(parse(Path("01-a.md"), text.replace("{seconds: 5}", needy)))
