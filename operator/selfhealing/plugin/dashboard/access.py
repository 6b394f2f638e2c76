"""Who may ask the dashboard: only its own page, opened with the address that the command printed.

Other web pages that the person visits, and other users of this machine, can connect to the port,
too. So:

- Each request for data has the token in its header ``Authorization``. A page of another origin
  cannot set that header without asking first (CORS), and nothing here says yes to that. A cookie
  would not do: cookies are the same for all ports of a host, so the next program that listens on
  this machine would be sent it (RFC 6265, section 8.5).
- ``Host`` must be this machine by name. A name of an attacker's that is made to resolve to
  127.0.0.1 (DNS rebinding) is another.
- ``Origin`` and ``Sec-Fetch-Site`` may only be those of the page itself.
"""

import secrets
from typing import Final

from selfhealing.plugin.dashboard.messages import Request, Response, error_response

API_PREFIX: Final = "/api/"
"""Where the data is. Everything else is the page's own files, in which nothing is secret."""

LOOKED_AT: Final = ("host", "origin", "sec-fetch-site", "authorization")
"""The headers that the check needs."""

LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost"})
"""The names of this machine. Any port is right: ``ssh -L`` may have another one."""

_OWN_SITES: Final = frozenset({"", "same-origin", "none"})
_SCHEME: Final = "bearer "


def new_token() -> str:
    """Return a token that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


def find_refusal(request: Request, token: str) -> Response | None:
    """Return the response that refuses a request; None for one that is allowed."""
    host = request.headers.get("host", "")
    if host.rpartition(":")[0] not in LOCAL_NAMES and host not in LOCAL_NAMES:
        return error_response(403, "this address is not the dashboard's: use the one it printed")
    if not request.path.startswith(API_PREFIX):
        return None
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "")
    if site not in _OWN_SITES or origin not in {"", f"http://{host}"}:
        return error_response(403, "another page may not ask this in your name")
    if not _has_token(request.headers.get("authorization", ""), token):
        return error_response(401, "the token is missing: open the address that was printed")
    return None


def _has_token(authorization: str, token: str) -> bool:
    """Tell whether a header has the token, in a time that does not tell how much of it is right."""
    scheme, given = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :]
    return scheme.lower() == _SCHEME and secrets.compare_digest(given.encode(), token.encode())
