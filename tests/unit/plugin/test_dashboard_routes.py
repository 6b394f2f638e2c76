"""What the dashboard answers, and to whom."""

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from selfhealing.kube.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)
from selfhealing.plugin.dashboard import routes
from selfhealing.plugin.dashboard.access import find_refusal, new_token
from selfhealing.plugin.dashboard.messages import Request, Response
from selfhealing.plugin.dashboard.routes import Dashboard, Scope
from selfhealing.plugin.dashboard.shared_reads import SharedReads
from tests.dashboard_cluster import DashboardCluster

TOKEN = "a" * 43
HEADERS = {"host": "127.0.0.1:8001", "authorization": f"Bearer {TOKEN}"}
WEB = {"namespace": "shop", "name": "web"}


@pytest.fixture
def cluster() -> DashboardCluster:
    return DashboardCluster()


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as found:
        yield found


@pytest.fixture
def dashboard(cluster: DashboardCluster, executor: Executor) -> Dashboard:
    return Dashboard(cluster, Scope("kind-lab", "shop"), TOKEN, executor)


def get(dashboard: Dashboard, path: str, **query: str) -> tuple[int, Any]:
    return read(dashboard.answer(Request("GET", path, query, HEADERS)))


def post(dashboard: Dashboard, body: object) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return read(dashboard.answer(Request("POST", "/api/operations", {}, HEADERS, data)))


def read(response: Response) -> tuple[int, Any]:
    return response.status, orjson.loads(response.body)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:9000"}, 200),
        ({"host": "localhost"}, 200),
        ({"authorization": f"bearer {TOKEN}"}, 200),
        ({"origin": "http://127.0.0.1:8001", "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"authorization": ""}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Bearer {TOKEN}a"}, 401),
        ({"authorization": f"Bearer {TOKEN[1:]}"}, 401),
        ({"authorization": "Bearer é"}, 401),
        ({"host": ""}, 403),
        ({"host": "evil.example:8001"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "127.0.0.1:8001:evil"}, 403),
        ({"origin": "http://127.0.0.1:8002"}, 403),
        ({"origin": "https://127.0.0.1:8001"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_only_the_page_itself_with_the_token_is_answered(
    headers: dict[str, str], status: int
) -> None:
    request = Request("GET", "/api/apps", headers={**HEADERS, **headers})
    refusal = find_refusal(request, TOKEN)

    assert (200 if refusal is None else refusal.status) == status


def test_the_files_need_no_token_but_the_right_host(dashboard: Dashboard) -> None:
    """Nothing in them is secret; the page must come from where the token is not known yet."""
    own, foreign = {"host": "127.0.0.1:1"}, {"host": "evil.example:1"}

    page = dashboard.answer(Request("GET", "/", headers=own))
    assert (page.status, page.content_type) == (200, "text/html; charset=utf-8")
    assert dashboard.answer(Request("GET", "/", headers=foreign)).status == 403
    assert dashboard.answer(Request("GET", "/../routes.py", headers=own)).status == 404
    assert dashboard.answer(Request("POST", "/", headers=own)).status == 404


def test_tokens_are_long_and_different() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43


def test_a_method_that_a_path_does_not_have_is_refused(dashboard: Dashboard) -> None:
    request = Request("POST", "/api/apps", headers=HEADERS)

    assert dashboard.answer(request).status == 405
    assert get(dashboard, "/api/operations")[0] == 405
    assert get(dashboard, "/api/nothing")[0] == 404


def test_the_overview_has_all_apps_those_that_need_a_person_first(dashboard: Dashboard) -> None:
    status, found = get(dashboard, "/api/apps")

    assert status == 200
    assert [app["key"]["name"] for app in found["items"]] == [
        "cart",
        "web",
        "mail",
        "search",
        "payments",
    ]
    assert (found["context"], found["namespace"], found["total"]) == ("kind-lab", "shop", 5)


def test_an_app_is_told_with_its_tree_time_line_and_explanation(dashboard: Dashboard) -> None:
    status, found = get(dashboard, "/api/app", **WEB)

    assert status == 200
    assert [each["name"] for each in found["app"]["revisions"]] == ["web-new", "web-old"]
    assert {entry["kind"] for entry in found["app"]["timeline"]} >= {"healing", "restart"}
    assert found["operations"][0] == {"operation": "approve", "subject": "Rollback", "actionId": 3}
    assert found["explanation"][0]["sentences"]


def test_the_explanation_is_in_the_asked_language(dashboard: Dashboard) -> None:
    headings = {
        lang: get(dashboard, "/api/app", **WEB, lang=lang)[1]["explanation"][0]["heading"]
        for lang in ("en", "zh", "xx")
    }

    assert headings["en"] == headings["xx"] != headings["zh"]


def test_text_of_the_cluster_is_cleaned(dashboard: Dashboard) -> None:
    for path in ("/api/apps", "/api/app"):
        _, found = get(dashboard, path, **WEB)
        assert "\u202e" not in orjson.dumps(found).decode()
        assert "<img src=x" in orjson.dumps(found).decode()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"namespace": "shop"},
        {"namespace": "", "name": "web"},
        {"namespace": "shop", "name": "../../secrets"},
        {"namespace": "shop/secrets", "name": "web"},
        {"namespace": "shop", "name": "web?watch=1"},
        {"namespace": "shop", "name": "w" * 64},
        {"namespace": "shop", "name": "WEB"},
    ],
)
def test_what_is_no_name_reaches_no_path(
    dashboard: Dashboard, cluster: DashboardCluster, query: dict[str, str]
) -> None:
    assert get(dashboard, "/api/app", **query)[0] == 400
    assert cluster.requests == []


def test_other_namespaces_are_not_shown(
    dashboard: Dashboard, cluster: DashboardCluster, executor: Executor
) -> None:
    assert get(dashboard, "/api/app", namespace="kube-system", name="web")[0] == 404
    assert post(dashboard, {"namespace": "x", "name": "web", "operation": "pause"})[0] == 404
    assert cluster.requests == []

    everything = Dashboard(cluster, Scope("", None), TOKEN, executor)
    assert get(everything, "/api/app", namespace="kube-system", name="web")[0] == 404
    assert "get SelfHealingApp web" in cluster.requests


def test_many_questions_are_one_request(dashboard: Dashboard, cluster: DashboardCluster) -> None:
    for _ in range(10):
        get(dashboard, "/api/apps")
        get(dashboard, "/api/app", **WEB)

    assert cluster.requests.count("list SelfHealingApp") == 1
    assert cluster.requests.count("get SelfHealingApp web") == 1


def test_an_operation_is_carried_out_and_seen_at_once(
    dashboard: Dashboard, cluster: DashboardCluster
) -> None:
    get(dashboard, "/api/app", **WEB)

    status, found = post(dashboard, {**WEB, "operation": "pause"})

    assert status == 200
    assert "paused" in found["effect"]
    assert cluster.patches == [{"metadata": {"resourceVersion": "1"}, "spec": {"paused": True}}]
    _, after = get(dashboard, "/api/app", **WEB)
    assert after["app"]["paused"]
    assert "unpause" in {each["operation"] for each in after["operations"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**WEB, "operation": "approve", "action": 3}, 200),
        ({**WEB, "operation": "approve", "action": 2}, 409),
        ({**WEB, "operation": "approve"}, 400),
        ({**WEB, "operation": "approve", "action": "3; 4"}, 400),
        ({**WEB, "operation": "approve", "action": 99999999999}, 400),
        ({**WEB, "operation": "retry"}, 409),
        ({**WEB, "operation": "resume"}, 200),
        ({**WEB, "operation": "delete"}, 400),
        ({**WEB}, 400),
        ({"namespace": "shop", "name": "gone", "operation": "pause"}, 404),
        ([], 400),
        (b"{", 400),
    ],
)
def test_only_what_the_person_has_seen_is_approved(
    dashboard: Dashboard, cluster: DashboardCluster, body: object, status: int
) -> None:
    assert post(dashboard, body)[0] == status
    assert len(cluster.patches) == (1 if status == 200 else 0)


def test_evidence_is_shown_cleaned(dashboard: Dashboard) -> None:
    status, found = get(dashboard, "/api/evidence", **WEB, action="2")

    assert status == 200
    assert found["text"].splitlines()[1:] == ["pod web-old-1 <b>log</b>", "| line of a log"]


@pytest.mark.parametrize("change", ["none saved", "gone", "other owner", "older", "no key"])
def test_evidence_of_something_else_is_not_shown(
    dashboard: Dashboard, cluster: DashboardCluster, change: str
) -> None:
    (config_map,) = cluster.objects["ConfigMap"]
    if change == "gone":
        cluster.objects["ConfigMap"] = []
    elif change == "other owner":
        config_map["metadata"]["ownerReferences"][0]["uid"] = "uid-of-another"
    elif change == "older":
        config_map["data"]["2-rollback.txt"] = "Action 2: Rollback, decided long ago\n"
    elif change == "no key":
        del config_map["data"]

    action = "1" if change == "none saved" else "2"
    assert get(dashboard, "/api/evidence", **WEB, action=action)[0] == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ForbiddenError(403, "Forbidden", "users may not list selfhealingapps"), 403),
        (NotFoundError(404, "NotFound", "the server could not find it"), 404),
        (ConflictError(409, "Conflict", "it has changed"), 409),
        (UnavailableError(0, "NoAnswer", "connection \u202erefused"), 502),
        (TimeoutError(), 504),
    ],
)
def test_an_error_is_told_to_the_page(
    dashboard: Dashboard, cluster: DashboardCluster, error: Exception, status: int
) -> None:
    cluster.error = error

    found = get(dashboard, "/api/apps")

    assert found[0] == status
    assert found[1]["error"]
    assert "\u202e" not in found[1]["error"]


def test_a_bug_is_not_hidden(dashboard: Dashboard, cluster: DashboardCluster) -> None:
    cluster.error = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        get(dashboard, "/api/apps")


# ---- shared reads -----------------------------------------------------------------------------


class ManualExecutor(Executor):
    """Runs nothing by itself; a test ends each read."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, *_: Any, **__: Any) -> Future[Any]:  # noqa: ANN401 - as the base class
        """Begin a read that does not end."""
        self.futures.append(Future())
        return self.futures[-1]


def make_reads(executor: Executor, times: list[float]) -> SharedReads[str, str]:
    return SharedReads(lambda key: key, executor, lifetime=2.0, max_kept=2, clock=lambda: times[-1])


def test_a_read_is_shared_until_it_is_old() -> None:
    executor, times = ManualExecutor(), [0.0]
    reads = make_reads(executor, times)
    with pytest.raises(TimeoutError):
        reads.get("web", 0)
    times.append(100.0)  # a read that has not ended is not old
    with pytest.raises(TimeoutError):
        reads.get("web", 0)
    executor.futures[0].set_result("first")

    assert reads.get("web", 0) == "first"
    times.append(101.9)
    assert reads.get("web", 0) == "first"
    times.append(102.0)
    with pytest.raises(TimeoutError):
        reads.get("web", 0)
    assert len(executor.futures) == 2


def test_an_error_is_shared_too() -> None:
    executor, times = ManualExecutor(), [0.0]
    reads = make_reads(executor, times)
    with pytest.raises(TimeoutError):
        reads.get("web", 0)
    executor.futures[0].set_exception(ApiError(500, "", "broken"))

    for _ in range(3):
        with pytest.raises(ApiError):
            reads.get("web", 0)
    assert len(executor.futures) == 1


def test_few_things_are_kept_and_few_wait() -> None:
    executor, times = ManualExecutor(), [0.0]
    reads = make_reads(executor, times)
    for name in ("one", "two", "three", "four"):
        with pytest.raises(TimeoutError):
            reads.get(name, 0)

    assert [future.cancelled() for future in executor.futures] == [True, True, False, False]


def test_what_was_changed_is_read_anew() -> None:
    executor, times = ManualExecutor(), [0.0]
    reads = make_reads(executor, times)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            reads.get("web", 0)
        reads.forget("web")
    reads.forget("web")

    assert len(executor.futures) == 2


def test_a_cluster_that_is_silent_for_long_is_told(
    cluster: DashboardCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PATIENCE", 0.0)
    dashboard = Dashboard(cluster, Scope("", None), TOKEN, ManualExecutor())

    assert get(dashboard, "/api/apps")[0] == 504
