"""The load test without a cluster, and vegeta with a real server."""

import base64
import contextlib
import json
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from rich.console import Console

from hack.loadtest.console import LoadConsole, render_report
from hack.loadtest.plan import LoadPlan, parse_arguments
from hack.loadtest.result_stats import OTHERS, UNNAMED, ResultStats
from hack.loadtest.vegeta import Attack
from hack.testkit.errors import ToolError
from hack.testkit.service_access import first_port, list_node_port_urls


def build_result_line(code: int = 200, seconds: float = 0.01, error: str = "", **more: Any) -> str:  # noqa: ANN401
    """Return a line of vegeta's JSON."""
    return json.dumps({"code": code, "latency": round(seconds * 1e9), "error": error, **more})


def build_body(name: str) -> dict[str, Any]:
    """Return the body of the demo app's greeting."""
    return {"body": base64.b64encode(json.dumps({"hostname": name}).encode()).decode()}


def print_report(stats: ResultStats, plan: LoadPlan, seconds: float) -> str:
    """Return the printed report."""
    console = Console(file=StringIO(), width=120)
    for part in render_report(plan, stats, seconds):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("arguments", "plan"),
    [
        (["--app", "lab"], LoadPlan("lab")),
        (["--app", "a", "--rate", "2000"], LoadPlan("a", rate=2000)),
        (["--app", "a", "--connections", "8"], LoadPlan("a", rate=0, connections=8)),
        (
            ["--app", "a", "--namespace", "n", "--seconds", "5", "--path", "/x?y=1"],
            LoadPlan("a", "n", "/x?y=1", seconds=5),
        ),
    ],
)
def test_a_plan_is_read(arguments: list[str], plan: LoadPlan) -> None:
    assert plan == parse_arguments(arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rate", "0"], "'0': expected a whole number from 1 to 2000"),
        (["--rate", "2001"], "expected a whole number from 1 to 2000"),
        (["--connections", "many"], "'many': expected a whole number from 1 to 256"),
        (["--seconds", "1.5"], "expected a whole number from 1 to 3600"),
        (["--rate", "5", "--connections", "5"], "not both"),
        (["--path", "metrics"], "expected a path such as /"),
        (["--path", "/\nGET http://elsewhere/"], "expected a path such as /"),
    ],
)
def test_a_wrong_plan_says_what_would_be_right(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--app", "a", *arguments])

    assert expected in capsys.readouterr().err


def test_the_command_is_bounded() -> None:
    """Time, workers and read bytes are limited; each request has a new connection."""
    rate, many = (
        LoadPlan("a", rate=100, seconds=7).vegeta_command("v"),
        LoadPlan("a", rate=0, connections=9),
    )

    assert {"-duration=7s", "-rate=100", "-max-workers=300", "-keepalive=false"} <= set(rate)
    assert {"-rate=0", "-workers=9", "-max-workers=9"} <= set(many.vegeta_command("v"))


def test_answers_are_counted_by_replica_and_failures_by_reason() -> None:
    tally = ResultStats()
    lines = [
        build_result_line(**build_body("lab-1")),
        build_result_line(**build_body("lab-1")),
        build_result_line(headers={"X-Served-By": ["lab-2"]}),
        build_result_line(body="bm8="),
        build_result_line(503, error="503 SERVICE UNAVAILABLE", **build_body("lab-1")),
        build_result_line(
            0, error='Get "http://x/": dial tcp 10.0.0.1:80: connect: connection refused'
        ),
        build_result_line(
            0, error='Get "http://y/": dial tcp 10.0.0.2:80: connect: connection refused'
        ),
        build_result_line(
            0, error='Get "http://x/": context deadline exceeded (Client.Timeout exceeded)'
        ),
        build_result_line(0, error='Get "http://x/": what: ever'),
    ]
    for line in lines:
        tally.add_result(line)

    assert (tally.sent, tally.failed) == (9, 5)
    assert tally.replicas == {"lab-1": 2, "lab-2": 1, UNNAMED: 1}
    assert tally.failures == {
        "status 503": 1,
        "connection refused: no ready replica": 2,
        "no answer in time": 1,
        "ever": 1,
    }
    text = print_report(tally, LoadPlan("lab", rate=3, seconds=3), 3.0)
    assert "9 requests in 3.0 s: 3.0 a second, 5 failed" in text
    assert "nobody: status 503" in text
    assert "Fewer" not in text
    assert "Fewer" in print_report(tally, LoadPlan("lab", rate=10, seconds=3), 3.0)
    assert "latency" not in print_report(ResultStats(), LoadPlan("lab"), 0.0)


def test_names_are_bounded() -> None:
    """The number and the length of pod names are limited."""
    tally = ResultStats()
    for number in range(200):
        tally.add_result(build_result_line(**build_body(f"{number}" + "x" * 80)))

    assert len(tally.replicas) == 51
    assert tally.replicas[OTHERS] == 150
    assert max(map(len, tally.replicas)) <= 63


@settings(deadline=None)
@given(st.lists(st.floats(0.00001, 60), min_size=1))
def test_a_percentile_is_within_two_percent(times: list[float]) -> None:
    tally = ResultStats()
    for seconds in times:
        tally.add_result(build_result_line(seconds=seconds))
    ordered = sorted(times)

    assert tally.slowest == pytest.approx(ordered[-1], abs=1e-9)
    assert tally.percentile(1) == pytest.approx(ordered[-1], rel=0.021)
    middle = ordered[(len(ordered) + 1) // 2 - 1]
    assert tally.percentile(0.5) == pytest.approx(middle, rel=0.021)
    assert ResultStats().percentile(0.5) == 0


def build_node(address: str, *, ready: str = "True", is_fake: bool = False) -> dict[str, Any]:
    notes = {"annotations": {"kwok.x-k8s.io/node": "fake"}} if is_fake else {}
    return {
        "metadata": notes,
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [
                {"type": "Hostname", "address": "x"},
                {"type": "InternalIP", "address": address},
            ],
        },
    }


def test_a_node_port_is_at_every_real_node_that_is_ready() -> None:
    nodes = [
        build_node("10.0.0.1", is_fake=True),
        build_node("10.0.0.2", ready="False"),
        build_node("10.0.0.3"),
        build_node("fd00::4"),
    ]
    service = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "nodePort": 30080}]}}

    assert list_node_port_urls(service, nodes) == [
        "http://10.0.0.3:30080",
        "http://[fd00::4]:30080",
    ]
    assert first_port(service) == 80
    service["spec"] = {"ports": [{"port": 81}]}
    assert list_node_port_urls(service, nodes) == []
    service["spec"] = {}
    with pytest.raises(ToolError, match="the Service a has no port"):
        first_port(service)


def test_the_control_plane_is_asked_first() -> None:
    worker, master = build_node("10.0.0.1"), build_node("10.0.0.2")
    master["metadata"]["labels"] = {"node-role.kubernetes.io/control-plane": ""}
    service = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "nodePort": 30080}]}}

    assert list_node_port_urls(service, [worker, master]) == [
        "http://10.0.0.2:30080",
        "http://10.0.0.1:30080",
    ]


FAKE_VEGETA = """
import json, sys, time
if sys.argv[1] == "encode":
    for line in sys.stdin:
        print(line, end="", flush=True)
    sys.exit()
assert sys.stdin.readline() == "GET http://here/\\n"
{then}
"""


def list_command_lines() -> Iterator[list[str]]:
    """Yield the command lines of all processes."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # one that has just ended
            yield process.read_bytes().decode(errors="replace").split("\0")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Path]:
    """The path of a fake vegeta; a test writes the program."""
    program = tmp_path / "vegeta"
    yield program
    assert [words for words in list_command_lines() if str(program) in words] == []


def write_fake_program(program: Path, then: str) -> str:
    program.write_text(f"#!{sys.executable}\n{FAKE_VEGETA.format(then=then)}")
    program.chmod(0o755)
    return str(program)


def test_results_come_as_they_are_made(fake: Path) -> None:
    then = "for n in range(3): print(json.dumps({'n': n}), flush=True)"
    with Attack(LoadPlan("a"), write_fake_program(fake, then), "http://here/") as attack:
        lines = [json.loads(line)["n"] for line in attack.results() if line is not None]

    assert lines == [0, 1, 2]


def test_a_failure_is_told(fake: Path) -> None:
    attack = Attack(
        LoadPlan("a"), write_fake_program(fake, "sys.exit('no such thing')"), "http://here/"
    )
    with attack, pytest.raises(ToolError, match="vegeta failed: no such thing"):
        list(attack.results())


def test_leaving_early_leaves_nothing(fake: Path) -> None:
    """No process stays after an early end, even with many results."""
    then = "while True: print('{}', flush=True)"
    with Attack(LoadPlan("a"), write_fake_program(fake, then), "http://here/") as attack:
        assert next(line for line in attack.results() if line) == "{}\n"

    assert None not in (attack._sender.returncode, attack._encoder.returncode)  # noqa: SLF001
    assert not attack._reader.is_alive()  # noqa: SLF001 - what an early end has to stop


@pytest.mark.parametrize("terminal", [False, True])
def test_the_screen_shows_how_it_goes(*, terminal: bool) -> None:
    """A log gets lines at an interval; a terminal gets a bar and a table."""
    tally, now = ResultStats(), [0.0]
    tally.add_result(build_result_line(**build_body("lab-1")))
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with LoadConsole(console, LoadPlan("a", seconds=20), tally, lambda: now[0]) as screen:
        screen.update()
        now[0] = 6.0
        screen.update()

    text = out.getvalue()
    assert "6 of 20 s" in text
    assert "0.2 requests/s" in text
    assert ("lab-1" in text) is terminal
