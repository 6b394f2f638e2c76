import pytest
from flask.testing import FlaskClient
from hypothesis import given, strategies as st

from app.origin import is_foreign
from app.state import State

HOST = "10.1.2.3:30080"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://before-a-proxy"}, False),
        ({"Origin": f"http://{HOST}"}, False),
        ({"Origin": f"https://{HOST}"}, False),
        ({"Origin": "http://10.1.2.3"}, True),
        ({"Origin": "http://10.1.2.3:30081"}, True),
        ({"Origin": "http://elsewhere.example"}, True),
        ({"Origin": f"http://elsewhere.example/?{HOST}"}, True),
        ({"Origin": f"http://x@{HOST}"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://[oh"}, True),
    ],
)
def test_what_a_browser_says_decides(headers: dict[str, str], foreign: bool) -> None:  # noqa: FBT001
    """Sec-Fetch-Site where it is sent, else Origin; who sends neither is curl or a program."""
    site, origin = headers.get("Sec-Fetch-Site", ""), headers.get("Origin", "")

    assert is_foreign(site, origin, HOST) is foreign


@given(st.text(min_size=1))
def test_no_other_origin_is_ours(origin: str) -> None:
    assert is_foreign("", origin, HOST) is (not origin.endswith(f"//{HOST}"))


@pytest.mark.parametrize("path", ["/fail", "/crash", "/hang", "/leak"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_another_page_cannot_post(
    client: FlaskClient, state: State, path: str, headers: dict[str, str]
) -> None:
    """It is told why, and nothing happens."""
    answer = client.post(path, headers=headers)

    assert answer.status_code == 403
    assert answer.get_json()["message"].startswith("another page may not ask this")
    assert state.snapshot().healthy
    assert not state.leak[0]


def test_the_own_page_can_post(client: FlaskClient, state: State) -> None:
    """Through a node port, where only Origin is sent."""
    answer = client.post("/fail", headers={"Host": HOST, "Origin": f"http://{HOST}"})

    assert answer.status_code == 200
    assert not state.snapshot().healthy
