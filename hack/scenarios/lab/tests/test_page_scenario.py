"""Pages run with a real bash and without a cluster."""

from pathlib import Path

import pytest

from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.runner import run_each
from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.lab.page_parser import Page, parse_page
from hack.scenarios.lab.page_scenario import PageResult, PageScenario
from hack.testkit.errors import ApiError
from hack.testkit.kube_client import Json


class _FakeClient:
    """A cluster without objects."""

    namespace = "lab"

    def __init__(self) -> None:
        self.cleared: list[str] = []

    def get_path(self, path: str, *, table: bool = False) -> Json | None:
        if "metrics.k8s.io" in path:
            raise ApiError("no metrics here")
        return None if table else {}

    def run_kubectl(self, arguments: str, *, seconds: float = 60) -> str:
        assert seconds > 0
        self.cleared.append(arguments)
        return ""

    def format_command(self, arguments: str) -> str:
        return f"kubectl -n lab {arguments}"


@pytest.fixture
def kube() -> _FakeClient:
    return _FakeClient()


class _Stage:
    """Runs a page with a shell that has no cluster."""

    def __init__(self, kube: _FakeClient, folder: Path) -> None:
        self.context = ScenarioContext(kube, PlainConsole())  # type: ignore[arg-type]
        self._folder = folder

    def build_scenario(self, page: Page) -> PageScenario:
        environment = {"PATH": "/usr/bin:/bin", "KUBECONFIG": str(self._folder / "none")}
        return PageScenario(page, self._folder, self._folder, environment)

    def run_page(self, page: Page) -> PageResult:
        return self.build_scenario(page).run(self.context)


@pytest.fixture
def stage(kube: _FakeClient, tmp_path: Path) -> _Stage:
    return _Stage(kube, tmp_path)


def build_page(body: str) -> Page:
    text = f"# 1. One step\n\n<!-- lab page: {{seconds: 5}} -->\n\n## Do it\n\n{body}"
    return parse_page(Path("docs/lab/01-one-step.md"), text)


def test_a_step_passes_when_every_block_shows_what_it_must(
    stage: _Stage, kube: _FakeClient
) -> None:
    played = build_page(
        '```sh\nNAME=web\n```\n\n<!-- lab: {shows: "^web 1$"} -->\n```sh\necho $NAME 1\n```\n\n'
        "```text\nweb 7\n```\n"
    )

    result = stage.run_page(played)

    assert (result.has_passed, result.problem, result.stale_lines) == (True, "", ())
    assert ["", "web 1\n"] == [typed.output for typed in result.commands]
    assert len(result.timeline.marks) == 2
    assert result.result_text == "passed"
    assert any("delete" in command and "--all" in command for command in kube.cleared)


def test_a_block_is_repeated_until_it_shows_what_it_must(stage: _Stage, tmp_path: Path) -> None:
    count = tmp_path / "count"
    played = build_page(
        '<!-- lab: {shows: "^3$", within: 20} -->\n'
        f"```sh\necho >> {count}\nwc -l < {count}\n```\n"
    )

    (typed,) = stage.run_page(played).commands

    assert (3, "3\n") == (typed.tries, typed.output)
    assert typed.until > typed.started


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
def test_a_failure_says_where_and_what(stage: _Stage, body: str, why: str) -> None:
    result = stage.run_page(build_page(body))

    assert (result.has_passed, result.result_text) == (False, "FAILED")
    assert result.problem.startswith("01-one-step.md, line ")
    assert why in result.problem
    assert "kubectl" in result.cluster_state


def test_what_puts_something_right_is_done_whatever_happens(stage: _Stage, tmp_path: Path) -> None:
    played = build_page(
        "```sh\nNODE=worker\n```\n\n```sh\nfalse\n```\n\n```sh\ntouch never\n```\n\n"
        "<!-- lab: {always: true} -->\n```sh\ntouch started-$NODE\n```\n"
    )

    result = stage.run_page(played)

    assert not result.has_passed
    assert (tmp_path / "started-worker").exists()
    assert not (tmp_path / "never").exists()


def test_ctrl_c_puts_it_right_too(
    stage: _Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageScenario, "_run_command", interrupted)
    played = build_page(
        "```sh\ntrue\n```\n\n<!-- lab: {always: true} -->\n```sh\ntouch back\n```\n"
    )

    with pytest.raises(KeyboardInterrupt):
        stage.run_page(played)

    assert (tmp_path / "back").exists()


def test_an_output_of_another_kind_than_in_the_page_is_noticed(stage: _Stage) -> None:
    played = build_page("```sh\necho error: gone\n```\n\n```text\nNAME READY\n```\n")

    result = stage.run_page(played)

    assert result.has_passed
    assert (str(played.blocks[1].line),) == result.stale_lines


def test_a_node_of_another_clone_is_not_another_output(stage: _Stage) -> None:
    played = build_page(
        "```sh\necho selfhealing-0123abcd-worker gone\n```\n\n```text\nkind-worker gone\n```\n"
    )

    assert () == stage.run_page(played).stale_lines


@pytest.mark.parametrize(("named", "word"), [(False, "left out"), (True, "FAILED")])
def test_a_step_that_lacks_something_is_left_out_unless_it_is_asked_for(
    stage: _Stage, word: str, *, named: bool
) -> None:
    needy = build_page("```sh\ntrue\n```\n").text.replace(
        "{seconds: 5}", "{seconds: 5, needs: [{check: 'false', otherwise: make cluster ADDONS=x}]}"
    )

    scenario = stage.build_scenario(parse_page(Path("01-a.md"), needy))
    (result,) = run_each([scenario], stage.context, is_selection=named)

    assert (word, ()) == (result.result_text, result.commands)
    assert "make cluster ADDONS=x" in result.summary


def test_what_a_page_needs_is_looked_for(stage: _Stage) -> None:
    text = build_page("```sh\ntrue\n```\n").text
    needy = (
        "{seconds: 5, needs: [{check: 'true', otherwise: one}, {check: 'false', otherwise: two}]}"
    )

    assert "" == stage.build_scenario(parse_page(Path("01-a.md"), text)).find_missing_requirement(
        stage.context
    )
    assert "two" == stage.build_scenario(
        parse_page(Path("01-a.md"), text.replace("{seconds: 5}", needy))
    ).find_missing_requirement(stage.context)
