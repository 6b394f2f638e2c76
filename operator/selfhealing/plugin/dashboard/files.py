"""The files of the page, which are read once when the dashboard starts."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from selfhealing.plugin.dashboard.messages import JSON_TYPE, Response

_JAVASCRIPT: Final = "text/javascript; charset=utf-8"

FILES: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/words/en.json": ("words/en.json", JSON_TYPE),
    "/words/zh.json": ("words/zh.json", JSON_TYPE),
    **{
        f"/{name}.js": (f"{name}.js", _JAVASCRIPT)
        for name in (
            "app_view",
            "dashboard",
            "dialogs",
            "dom",
            "overview",
            "session",
            "timeline",
            "tree",
            "words",
        )
    },
}
"""The file and the type of each path; no other name reaches the disk."""


def read_files() -> Mapping[str, Response]:
    """Read the files, also from within a zip file; return the response for each path."""
    site = files("selfhealing.plugin.dashboard") / "site"
    return {
        path: Response(200, (site / name).read_bytes(), content_type, is_kept=True)
        for path, (name, content_type) in FILES.items()
    }
