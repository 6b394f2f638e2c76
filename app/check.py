"""An HTTP check for exec probes: ``python -m app.check [URL]``, the answer of ``curl -f``.

Exit code 0 for a status below 400, 1 for any other answer or none, 2 for wrong arguments; the
reason is printed, and the kubelet shows it in the pod's events. It exists so that the image needs
no curl. A bare socket, and no ``typing``: the start is nearly all this costs, and ``http.client``
alone would make it half as long again.
"""

import socket
import sys
from time import monotonic
from urllib.parse import urlsplit

_DEFAULT_URL = "http://127.0.0.1:5000/health"
_USAGE = "usage: python -m app.check [http://HOST[:PORT]/PATH] [TIMEOUT_SECONDS]"
_TIMEOUT = "2"
_ANSWER_LIMIT = 64 * 1024


class CheckError(Exception):
    """The check could not be made, or did not get an HTTP answer."""


def check(url: str, timeout: float) -> tuple[int, str]:
    """Ask once; the status code and the body's first line.

    Raises:
        ValueError: the URL is not one this can ask.
        CheckError: nothing answered in time, or not in HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError(f"not a plain http:// address: {url!r}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    question = (
        f"GET {target} HTTP/1.0\r\nHost: {parts.netloc}\r\nUser-Agent: app.check\r\n\r\n"
    ).encode()
    deadline = monotonic() + timeout
    try:
        with socket.create_connection((parts.hostname, parts.port or 80), timeout) as connection:
            connection.sendall(question)
            answer = _read(connection, deadline)
    except OSError as error:
        raise CheckError(str(error) or type(error).__name__) from error
    head, _, body = answer.partition(b"\r\n\r\n")
    protocol, _, rest = head.partition(b" ")
    code = rest[:3]
    if not protocol.startswith(b"HTTP/") or not code.isdigit():
        raise CheckError(f"no HTTP answer: {answer[:80]!r}")
    lines = body.decode(errors="replace").splitlines()
    return int(code), lines[0] if lines else ""


def _timeout(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"not a time to wait: {text}")
    return seconds


def _read(connection: socket.socket, deadline: float) -> bytes:
    answer = b""
    while len(answer) < _ANSWER_LIMIT:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left)
        part = connection.recv(4096)
        if not part:
            break
        answer += part
    return answer


def main(arguments: list[str]) -> int:
    """Run as a command; the exit code."""
    url, seconds, *more = [*arguments, *(_DEFAULT_URL, _TIMEOUT)[len(arguments) :]]
    if more:
        print(_USAGE, file=sys.stderr)  # noqa: T201  a command's answer
        return 2
    try:
        status, text = check(url, _timeout(seconds))
    except ValueError as error:
        print(f"{error}\n{_USAGE}", file=sys.stderr)  # noqa: T201  a command's answer
        return 2
    except CheckError as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201  a command's answer
        return 1
    good = status < 400  # noqa: PLR2004  where HTTP's errors begin
    print(f"{status} {text}", file=sys.stdout if good else sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
