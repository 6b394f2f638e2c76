"""Stands in for kubectl: answers ``config view``, and as ``proxy`` from the file STUB_ANSWERS.

An answer is found by "METHOD path?query", and is [status, body].
"""

import http.server
import json
import os
import socketserver
import sys
from pathlib import Path
from typing import Any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An HTTP server on a Unix socket."""

    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers requests."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        size = int(self.headers.get("Content-Length") or 0)
        key = f"{self.command} {self.path} {self.rfile.read(size).decode()}".strip()
        answers: dict[str, Any] = json.loads(Path(os.environ["STUB_ANSWERS"]).read_text())
        status, body = answers.get(key, [404, {"message": f"no {key}", "reason": "NotFound"}])
        if status == 0:
            os._exit(1)
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_PATCH = do_GET  # noqa: N815 - named by http.server

    def address_string(self) -> str:
        """A Unix socket has no address."""
        return ""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main() -> None:
    """Do what kubectl does for these arguments."""
    options = dict(word.partition("=")[::2] for word in sys.argv[1:])
    if "proxy" in options:
        if "--context" in options:
            sys.exit(f'error: context "{options["--context"]}" does not exist')
        with Server(options["--unix-socket"], Handler) as server:
            print(f"Starting to serve on {options['--unix-socket']}", flush=True)
            server.serve_forever()
    if "--context" in options:
        sys.exit("error: cannot locate context")
    print(os.environ.get("STUB_NAMESPACE", ""), end="")


if __name__ == "__main__":
    main()
