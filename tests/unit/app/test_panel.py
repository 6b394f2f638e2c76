"""What the panel's page is made of; how it behaves in a browser is tests/ui."""

import json
import re
import socket
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import memory
from app.faults import fault_actions
from app.panel import LANGUAGES, words
from app.rate import SECONDS, Rate
from app.routes import lab_actions
from app.state import State
from hack.testkit.app_process import AppProcess


def _keys(found: object, path: str = "") -> set[str]:
    if not isinstance(found, dict):
        return {path}
    return {key for name, inner in found.items() for key in _keys(inner, f"{path}.{name}")}


def read_state_text(state: State) -> set[str]:
    table = (*lab_actions(state), *fault_actions(state))
    return {text for action in table for text in (action.done, action.already)}


def test_both_languages_say_the_same() -> None:
    """Texts and the values that are put into them; only Chinese translates the app's answers."""
    english, chinese = words("en"), words("zh")
    english["script"].pop("said")
    chinese["script"].pop("said")

    assert _keys(english) == _keys(chinese)
    for key, text in english["script"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese["script"][key]))


def test_every_answer_of_an_action_is_translated(state: State) -> None:
    assert read_state_text(state) == set(words("zh")["script"]["said"])


def test_every_action_has_a_button_and_every_button_an_action(
    client: FlaskClient, state: State
) -> None:
    page = client.get("/panel").text
    buttons = re.findall(r'data-path="([a-z-]+)"', page)
    paths = {action.path for action in (*lab_actions(state), *fault_actions(state))}

    assert sorted(buttons) == sorted(path.strip("/") for path in paths)


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("", "zh-TW", "zh-CN"),
        ("", "de-DE,en;q=0.5", "en"),
        ("", "de", "en"),
        ("?lang=zh", "en", "zh-CN"),
        ("?lang=zh-CN", "en", "zh-CN"),
        ("?lang=EN", "zh", "en"),
        ("?lang=xx", "zh", "zh-CN"),
        ("?lang=", "zh", "zh-CN"),
    ],
)
def test_the_language_is_asked_for_or_preferred(
    client: FlaskClient, query: str, accepted: str, language: str
) -> None:
    """The address goes before the browser's preference; English is for everybody else."""
    answer = client.get(f"/panel{query}", headers={"Accept-Language": accepted})

    assert answer.headers["Content-Language"] == language
    assert answer.headers["Vary"] == "Accept-Language"
    assert f'<html lang="{language}">' in answer.text
    assert answer.text.count('aria-current="true"') == 1


def test_the_page_loads_only_what_is_served_here(client: FlaskClient) -> None:
    """By relative addresses, so that a path before it does no harm; nothing else is to be had."""
    page = client.get("/panel").text
    loaded = {
        target
        for target in re.findall(r'(?:src|href)="([^"]*)"', page)
        if not target.startswith(("?", "#"))
    }

    assert loaded == {"panel/icon.svg", "panel/panel.css", "panel/panel.js"}
    for target in loaded | {"panel/plot.js", "panel/replicas.js"}:
        answer = client.get(f"/{target}")
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/panel/page.html", "/panel/words/en.json", "/panel/..%2fstate.py", "/panel/"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/panel", "/panel/state", "/panel/panel.js", "/panel/nothing"])
def test_the_policy_allows_nothing_from_elsewhere(client: FlaskClient, path: str) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_the_page_has_no_script_or_style_of_its_own_text(client: FlaskClient) -> None:
    """The policy would refuse it; the texts are data."""
    page = client.get("/panel").text

    assert re.findall(r"<script(?![^>]* src=)([^>]*)>", page) == [
        ' type="application/json" id="words"'
    ]
    assert "<style" not in page
    assert not re.search(r"\s(style|on[a-z]+)=", page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_arrive_whole(client: FlaskClient, language: str) -> None:
    """Whatever characters are in them."""
    page = client.get(f"/panel?lang={language}").text
    match = re.search(r'id="words">(.*?)</script>', page)

    assert match
    assert json.loads(match[1]) == words(language)["script"]


def test_the_state_says_how_this_replica_is(client: FlaskClient, state: State) -> None:
    state.set_ready(False)
    first, second = (client.get("/panel/state").get_json() for _ in range(2))

    assert first["hostname"] == socket.gethostname()
    assert (first["healthy"], first["ready"], first["cpu_load"]) == (True, False, False)
    assert first["instance"] == second["instance"]
    assert 0 <= first["uptime_seconds"] <= second["uptime_seconds"]
    assert 0 < first["cpu_seconds"] <= second["cpu_seconds"]
    assert first["memory_bytes"] > 10 * 2**20
    assert (first["leaking"], first["leak_bytes"]) == (False, 0)
    assert len(first["requests"]) == SECONDS - 1


def test_another_start_is_another_instance(client: FlaskClient) -> None:
    """So that a page sees a restart, which changes no name."""
    with AppProcess() as app:
        other = json.loads(app.get("/panel/state")[1])

    assert other["instance"] != client.get("/panel/state").get_json()["instance"]


def test_the_panel_closes_its_connections_and_others_are_kept() -> None:
    """A Service chooses a replica for each connection."""
    with AppProcess() as app:
        for path, said in (("/panel/state", "close"), ("/panel", "close"), ("/", None)):
            connection = app.connect()
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.getheader("Connection") == said, path
            answer.read()
            connection.close()


class Clock:
    """A time that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:  # noqa: D102
        return self.now


def test_requests_are_counted_by_second() -> None:
    """What was before the last minute is forgotten, also after a long silence."""
    clock = Clock()
    rate = Rate(clock)
    for now, count in ((1000.2, 3), (1001.9, 1), (1003.0, 2)):
        clock.now = now
        for _ in range(count):
            rate.count()

    assert rate.series()[-3:] == [3, 1, 0]
    clock.now = 1004.0
    assert rate.series()[-4:] == [3, 1, 0, 2]
    clock.now = 1000.0 + SECONDS
    assert rate.series()[:4] == [1, 0, 2, 0]
    clock.now = 5000.0
    assert rate.series() == [0] * (SECONDS - 1)
    rate.count()
    clock.now = 5001.0
    assert rate.series() == [0] * (SECONDS - 2) + [1]


def test_probes_scrapes_and_the_panel_are_not_counted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(Rate, "count", lambda _: counted.append(1))
    for path in ("/health", "/ready", "/metrics", "/panel", "/panel/state", "/", "/fail"):
        client.get(path)

    assert len(counted) == 2


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"memory.max": "134217728\n"}, 134217728),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "134217728\n"}, 134217728),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_the_limit_is_read_from_either_kind_of_control_groups(
    tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert memory.read_limit(tmp_path) == limit
