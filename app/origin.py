"""Whether a browser sends a request on behalf of another page.

The rules are those of Go's ``http.CrossOriginProtection``: a browser says where a request comes
from in ``Sec-Fetch-Site``, which no page can forge; to plain HTTP on another machine (a node port)
it does not, and then ``Origin`` must name the host that was asked. Who sends neither is no
browser.
"""

from typing import Final
from urllib.parse import urlsplit

_OWN: Final = frozenset({"same-origin", "none"})
"""The page itself, and a person who typed the address."""


def is_foreign(site: str, origin: str, host: str) -> bool:
    """Tell whether another page is behind a request.

    Args:
        site: the request's ``Sec-Fetch-Site``; empty where it has none.
        origin: its ``Origin``; the same.
        host: its ``Host``, with the port.
    """
    if site:
        return site not in _OWN
    if not origin:
        return False
    try:
        return urlsplit(origin).netloc != host  # "null" has none
    except ValueError:
        return True
