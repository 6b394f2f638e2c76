"""The process: how it starts, serves several clients at once, and above all how it stops."""

import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

from app import settings
from hack.testkit.app_process import AppProcess, BackgroundRequest, wait_until

_ANSWERED = 'http_requests_total{{method="GET",path="{}",status="{}"}}'


def test_nothing_keeps_it_longer_than_its_defaults_allow() -> None:
    """Neither a burning load, nor a request that hangs, nor a client that stays connected."""
    defaults = settings.load({})
    assert defaults.linger_seconds + defaults.grace_seconds < 2

    with AppProcess(LINGER_SECONDS="", WORK_SECONDS="60") as app:
        kept = app.connect()
        kept.request("GET", "/start-load")
        kept.getresponse().read()
        stuck = BackgroundRequest(app, "/")
        wait_until(lambda: app.read_metric("http_requests_in_flight") == 1, "it is in flight")

        assert app.stop() == 0
        stuck.join()
        kept.close()

    assert app.lines[-1].endswith("INFO    stopped")
    assert app.has_logged(f"1 request(s) cut off after {defaults.grace_seconds:g} s")


def test_interrupt_stops_too() -> None:
    """Ctrl-C in a terminal leaves no traceback."""
    with AppProcess() as app:
        assert app.port
        app.popen.send_signal(signal.SIGINT)

        assert app.wait_for_exit() == 0
    assert not app.has_logged("Traceback")


def test_sigterm_during_the_imports_ends_it_at_once(tmp_path: Path) -> None:
    """Without a handler of its own by then, a PID 1 would not notice."""
    (tmp_path / "flask.py").write_text(
        "import time; print('importing', flush=True); time.sleep(60)"
    )
    with AppProcess(PYTHONPATH=str(tmp_path)) as app:
        wait_until(lambda: app.has_logged("importing"), "the imports have begun")

        assert app.stop() == 0


def test_requests_in_flight_and_in_the_queue_are_answered_before_the_end() -> None:
    """Three requests for one thread: one is worked on, two wait, none is lost."""
    with AppProcess(WORK_SECONDS="0.2", THREADS="1", GRACE_SECONDS="5") as app:
        asking = [BackgroundRequest(app, "/") for _ in range(3)]
        wait_until(lambda: app.read_metric(_ANSWERED.format("/", 200)) > 0, "one is answered")

        code = app.stop()
        for one in asking:
            one.join()

    assert [one.status_code for one in asking] == [200, 200, 200]
    assert code == 0


def test_a_stuck_request_is_cut_off_after_the_grace() -> None:
    """The thread of a request that never ends does not keep the process."""
    with AppProcess(WORK_SECONDS="60", GRACE_SECONDS="0.3") as app:
        stuck = BackgroundRequest(app, "/")
        wait_until(
            lambda: app.read_metric("http_requests_in_flight") == 1, "the request is in flight"
        )

        code = app.stop()
        stuck.join()

    assert code == 0
    assert stuck.status_code == 0
    assert app.has_logged("1 request(s) cut off after 0.3 s")


def test_while_it_lingers_it_serves_but_is_not_ready() -> None:
    """New connections are answered, and every answer closes its connection."""
    with AppProcess(LINGER_SECONDS="60") as app:
        kept = app.connect()
        kept.request("GET", "/ready")
        before = kept.getresponse()
        assert (before.status, before.getheader("Connection")) == (200, None)
        before.read()

        app.terminate()
        wait_until(lambda: app.has_logged("stopping"), "the stop begins")
        kept.request("GET", "/ready")
        after = kept.getresponse()
        after.read()
        kept.close()

        assert (after.status, after.getheader("Connection")) == (503, "close")
        assert app.get("/health")[0] == 200


def test_every_bad_setting_is_named_and_nothing_is_served() -> None:
    """One restart shows all of them."""
    with AppProcess(PORT="http", THREADS="0") as app:
        assert app.wait_for_exit() == 2

    assert app.has_logged("bad setting: PORT='http': expected a whole number from 0 to 65535")
    assert app.has_logged("bad setting: THREADS='0': expected a whole number from 1 to 64")


def test_a_taken_port_is_named() -> None:
    """No traceback: the line says what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with AppProcess(PORT=str(port)) as app:
            assert app.wait_for_exit() == 1

    reason = "Address already in use (HOST and PORT choose another)"
    assert len(app.lines) == 1
    assert app.has_logged(f"cannot listen on 127.0.0.1 port {port}: {reason}")


def test_many_clients_at_once_lose_nothing() -> None:
    """Of many who ask for the same change one is told that it did it; every request is counted."""
    paths = ["/", "/health", "/ready", "/start-load", "/nowhere"] * 20
    with AppProcess() as app, ThreadPoolExecutor(16) as clients:
        assert app.port
        started = Counter(clients.map(app.send_action, ["/start-load"] * 16))
        statuses = Counter(status for status, _ in clients.map(app.get, paths))
        stopped = Counter(clients.map(app.send_action, ["/stop-load"] * 16))

        assert started == {"CPU load started": 1, "CPU load already running": 15}
        assert statuses == {200: 80, 404: 20}
        assert stopped == {"CPU load stopped": 1, "no CPU load is running": 15}
        assert app.read_metric(_ANSWERED.format("/start-load", 200)) == 16 + 20
        assert app.read_metric(_ANSWERED.format("(unknown)", 404)) == 20
        assert app.read_metric("http_requests_in_flight") == 0
    assert not app.has_logged("Traceback")


def test_the_queue_is_scraped_while_clients_wait() -> None:
    """Four clients that ask again and again, and one thread: some always wait."""
    done = threading.Event()
    with AppProcess(WORK_SECONDS="0.05", THREADS="1") as app, ThreadPoolExecutor(4) as clients:

        def ask_on() -> None:
            while not done.is_set():
                app.get("/")

        try:
            asking = [clients.submit(ask_on) for _ in range(4)]
            wait_until(lambda: app.read_metric("http_requests_queued") >= 2, "two requests wait")
        finally:
            done.set()
        for one in asking:
            one.result()
        wait_until(lambda: app.read_metric("http_requests_queued") == 0, "none waits")


def test_probes_are_answered_in_time_while_the_cpu_burns() -> None:
    """The lab's probe waits two seconds; nine of ten take not even half of one."""
    times = []
    with AppProcess() as app:
        app.get("/start-load")
        for _ in range(50):
            begun = monotonic()
            assert app.get("/health")[0] == 200
            times.append(monotonic() - begun)

    assert sorted(times)[45] < 0.5


def test_the_load_burns_cpu_until_it_is_stopped() -> None:
    """Seen from outside: the process's CPU time grows, and its load thread is gone after a stop."""
    with AppProcess() as app:
        tasks = Path(f"/proc/{app.popen.pid}/task")
        app.get("/start-load")
        with_load = len(list(tasks.iterdir()))
        begin = app.read_metric("process_cpu_seconds_total")
        wait_until(
            lambda: app.read_metric("process_cpu_seconds_total") > begin + 0.3,
            "0.3 s of CPU are burnt",
        )
        app.get("/stop-load")
        wait_until(lambda: len(list(tasks.iterdir())) == with_load - 1, "the thread is gone")


def test_the_log_has_one_line_per_event_and_no_routine() -> None:
    """Good probes and scrapes are silent, failing ones are not; a path cannot forge a line."""
    with AppProcess() as app:
        for path in ("/health", "/ready", "/metrics", "/fail", "/health", "/a%0Ab%20c"):
            app.get(path)
        app.stop()

    said = [line.split(maxsplit=2)[2].partition(" in ")[0] for line in app.lines]
    assert said[1:-2] == [
        "/fail: unhealthy from now on: /health answers 500 until /recover or a restart",
        "127.0.0.1 GET /fail -> 200",
        "127.0.0.1 GET /health -> 500",
        "127.0.0.1 GET /a%0Ab%20c -> 404",
    ]
