"""The control panel: one page that shows the replicas and has a button for every action.

It loads nothing from elsewhere and runs no script of its own text: the policy in its headers says
so to the browser. Everything it needs is read when the app starts, so serving it touches no disk.
All of its addresses are relative: it works behind a proxy that adds a path.
"""

import json
import secrets
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from jinja2 import Environment, StrictUndefined

from app import memory
from app.rate import Rate
from app.state import State

LANGUAGES: Final = {"en": "en", "zh": "zh-CN"}
"""What ``?lang=`` may say, and what HTML calls it; the first is for who speaks neither."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The page's Content-Security-Policy."""

_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    "panel.css": "text/css",
    "panel.js": "text/javascript",
    "plot.js": "text/javascript",
    "replicas.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The files beside this one that are served; no other name reaches the disk."""


def words(language: str) -> dict[str, Any]:
    """Read every text of the page in a language."""
    text = (_HERE / "words" / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def blueprint(state: State, rate: Rate) -> Blueprint:
    """Make the page, its files and what it asks again and again."""
    panel = Blueprint("panel", __name__)
    pages = {language: _page(language) for language in LANGUAGES}
    files = {name: (_HERE / name).read_bytes() for name in _TYPES}
    instance = secrets.token_hex(4)
    started = time.monotonic()
    hostname = socket.gethostname()

    @panel.after_request
    def _guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    @panel.get("/panel")
    def page() -> ResponseReturnValue:
        language = _language()
        headers = {"Content-Language": LANGUAGES[language], "Vary": "Accept-Language"}
        return Response(pages[language], mimetype="text/html", headers=headers)

    @panel.get("/panel/<name>")
    def file(name: str) -> ResponseReturnValue:
        if name not in files:
            abort(404)
        return Response(files[name], mimetype=_TYPES[name])

    @panel.get("/panel/state")
    def now() -> ResponseReturnValue:
        leaking, held = state.leak
        return {
            "hostname": hostname,
            "instance": instance,
            "uptime_seconds": round(time.monotonic() - started, 3),
            **asdict(state.snapshot()),
            "leaking": leaking,
            "leak_bytes": held,
            "memory_bytes": memory.read_used(),
            "memory_limit_bytes": memory.read_limit(),
            "cpu_seconds": round(time.process_time(), 3),
            "requests": rate.series(),
        }

    return panel


def _language() -> str:
    """Choose what the address asks for, then what the browser prefers."""
    asked = request.args.get("lang", "")[:2].lower()
    if asked in LANGUAGES:
        return asked
    return request.accept_languages.best_match(LANGUAGES, default="en") or "en"


def _page(language: str) -> str:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((_HERE / "page.html").read_text(encoding="utf-8"))
    return template.render(
        language=LANGUAGES[language],
        languages=LANGUAGES,
        t=words(language),
        script=words(language)["script"],
    )
