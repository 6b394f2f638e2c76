"""The faults of the healing lab, most of them in a process that may die of them."""

import http.client
import mmap
import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.leak import MIB, Leak
from app.state import State
from hack.testkit.app_process import AppProcess, BackgroundRequest, wait_until


def test_a_leak_grows_to_its_bound_and_is_given_back(client: FlaskClient, state: State) -> None:
    """One leak at a time."""
    assert client.get("/leak?mib=3&rate=1024").get_json()["message"].startswith("memory grows from")
    assert client.get("/leak").get_json()["message"] == "memory grows already"
    wait_until(lambda: state.leak == (True, 3 * MIB), "it has grown to its bound")

    assert client.get("/stop-leak").get_json()["message"] == "memory given back"
    assert client.get("/stop-leak").get_json()["message"] == "no memory is held"
    assert state.leak == (False, 0)


def test_a_leak_goes_in_steps_and_stops_between_them() -> None:
    """A bound that is no multiple of the step is met all the same; a stop does not wait for it."""
    leak = Leak()
    assert leak.start(10 * mmap.PAGESIZE + 1, 16 * mmap.PAGESIZE)
    wait_until(lambda: leak.held == 10 * mmap.PAGESIZE + 1, "the bound is met")
    assert leak.stop()

    assert leak.start(2**40, 4)
    wait_until(lambda: leak.held > 0, "it has begun")
    assert leak.stop()
    assert leak.held == 0
    assert not leak.running


def test_the_kernel_sees_a_leak_and_its_end() -> None:
    """Memory that nobody writes to would not count."""
    with AppProcess() as app:
        status = Path(f"/proc/{app.popen.pid}/statm")

        def resident() -> int:
            return int(status.read_text().split()[1]) * mmap.PAGESIZE

        assert app.port
        before = resident()
        app.get("/leak?mib=40&rate=400")
        wait_until(lambda: resident() > before + 39 * MIB, "the memory is used")
        app.get("/stop-leak")
        assert resident() < before + 10 * MIB
        app.get("/leak?mib=40&rate=400")
        assert app.stop() == 0


@pytest.mark.parametrize(("query", "code"), [("", 1), ("?code=0", 0), ("?code=137", 137)])
def test_a_crash_ends_the_process_at_once(query: str, code: int) -> None:
    """Nobody is answered, and the log says why."""
    with AppProcess(LINGER_SECONDS="60") as app:
        assert app.port
        asking = BackgroundRequest(app, f"/crash{query}")
        assert app.wait_for_exit() == code
        asking.join()

    assert asking.status_code == 0
    assert app.has_logged(f"/crash: the process ends with exit code {code}")


def test_a_hanging_app_answers_nobody_and_can_be_ended() -> None:
    """Not the probes either; what ends it is what a kubelet does, after its grace."""
    with AppProcess(GRACE_SECONDS="0.2") as app:
        assert app.send_action("/hang").startswith("hanging from now on")
        for path in ("/health", "/panel/state", "/hang"):
            connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=0.3)
            connection.request("GET", path)
            with pytest.raises(TimeoutError):
                connection.getresponse()
            connection.close()

        code = app.stop()

    assert code == 0
    assert app.has_logged("cut off")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/leak?mib=0", "mib='0': expected a whole number from 1 to 4096"),
        ("/leak?mib=5000", "mib='5000': expected a whole number from 1 to 4096"),
        ("/leak?mib=some", "mib='some': expected a whole number from 1 to 4096"),
        ("/leak?rate=-1", "rate='-1': expected a whole number from 1 to 1024"),
        ("/leak?rate=²", "rate='²': expected a whole number from 1 to 1024"),
        ("/crash?code=256", "code='256': expected a whole number from 0 to 255"),
        ("/crash?code=00000000099999", "code='00000000099999': expected a whole number from 0"),
    ],
)
def test_a_bad_number_is_refused_with_what_would_be_good(
    client: FlaskClient, path: str, expected: str
) -> None:
    threads = threading.active_count()
    answer = client.get(path)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "bad request")
    assert answer.get_json()["message"].startswith(expected)
    assert threads == threading.active_count()
