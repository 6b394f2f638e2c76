import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.check import main


@contextmanager
def serve_once(answer: bytes | None) -> Iterator[str]:
    """A server for one connection; None accepts it and says nothing until the client gives up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                connection.recv(4096)
                if answer is None:
                    connection.recv(1)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/health"
        thread.join(10)


@pytest.mark.parametrize(
    ("status", "code"), [(b"200 OK", 0), (b"302 Found", 0), (b"404 Not Found", 1), (b"500 Oh", 1)]
)
def test_the_exit_code_tells_errors_apart(
    status: bytes, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """As curl -f does; what was answered is printed for the pod's events."""
    with serve_once(b"HTTP/1.1 " + status + b'\r\nA: b\r\n\r\n{"status":"x"}\n') as url:
        assert code == main([url])

    out, err = capsys.readouterr()
    assert f'{status[:3].decode()} {{"status":"x"}}\n' == (err if code else out)


def test_an_answer_that_never_comes_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with serve_once(None) as url:
        assert main([url, "0.05"]) == 1

    assert "timed out" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 huh\r\n\r\n"])
def test_what_is_not_http_is_a_failure(answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with serve_once(answer) as url:
        assert main([url]) == 1

    assert "no HTTP answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["https://127.0.0.1/"],
        ["127.0.0.1:5000"],
        ["http://"],
        ["http://127.0.0.1:x/"],
        ["http://127.0.0.1/a b\r\nX: y"],
        ["http://127.0.0.1/", "soon"],
        ["http://127.0.0.1/", "0"],
        ["http://127.0.0.1/", "1", "2"],
    ],
)
def test_wrong_arguments_are_another_exit_code(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage: python -m app.check" in capsys.readouterr().err


def test_as_a_command_it_needs_no_flask() -> None:
    """It starts every few seconds, beside the app, on the same half CPU."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app.check", f"http://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert "flask" not in done.stderr
    assert "http.client" not in done.stderr
