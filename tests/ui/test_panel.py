"""The panel in a browser: what a reader of the lab does with it."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from hack.testkit.wait import eventually
from tests.ui.app_replicas import Replicas
from tests.ui.conftest import PATIENCE, Open
from tests.ui.panel_page import View

expect.set_options(timeout=PATIENCE)

BOTH = pytest.mark.parametrize("language", ["en", "zh"])

EFFECTS = (
    ("fail", "healthy", False),
    ("recover", "healthy", True),
    ("not-ready", "ready", False),
    ("ready-again", "ready", True),
    ("start-load", "cpu_load", True),
    ("stop-load", "cpu_load", False),
    ("leak", "leaking", True),
    ("stop-leak", "leaking", False),
)


@BOTH
def test_every_button_does_what_it_says_and_the_page_says_who_did_it(
    alone: Replicas, show: Open, language: str
) -> None:
    """Seen at the replica itself, in its card and in the list of what happened."""
    (name,) = alone.names
    view = show(f"{alone.url}?lang={language}")
    view.field("memory").fill("20")
    for path, flag, value in EFFECTS:
        line = view.press(path)

        expect(line).to_contain_text(view.text("did", host=name))
        assert alone.state(name)[flag] is value, path
        if flag in {"healthy", "ready"}:
            word = flag if value else {"healthy": "unhealthy", "ready": "not_ready"}[flag]
            badge = view.card(name).get_by_text(view.text(word), exact=True)
            expect(badge).to_be_visible()
    again = view.press("recover")
    said = "already healthy"
    expect(again).to_contain_text(view.words["script"]["said"].get(said, said))


@BOTH
def test_the_panel_speaks_the_readers_language(alone: Replicas, show: Open, language: str) -> None:
    """The browser's preference, then the switch, which is remembered in the address."""
    locale, other = {"en": ("en-GB", "zh"), "zh": ("zh-CN", "en")}[language]
    view = show(alone.url, locale=locale)
    heading = view.page.get_by_role("heading", level=1)
    title = view.words["title"]
    expect(heading).to_have_text(title)

    view.page.get_by_role("link", name=view.words["languages"][other], exact=True).click()

    expect(view.page).to_have_url(re.compile(rf"\?lang={other}$"))
    expect(heading).not_to_have_text(title)
    tag = {"en": "en", "zh": "zh-CN"}[other]
    expect(view.page.locator("html")).to_have_attribute("lang", tag)


def test_two_replicas_are_told_apart(replicas: Replicas, show: Open) -> None:
    """Each has its own state, and each square and line names who it was."""
    view = show(replicas.url)
    for name in replicas.names:
        expect(view.card(name)).to_be_visible()

    line = view.press("fail")

    (ill,) = (name for name in replicas.names if not replicas.state(name)["healthy"])
    (well,) = set(replicas.names) - {ill}
    expect(line).to_contain_text(ill)
    expect(view.card(ill).get_by_text("unhealthy", exact=True)).to_be_visible()
    expect(view.card(well).get_by_text("healthy", exact=True)).to_be_visible()
    strip = view.page.locator("#strip")
    for name in replicas.names:
        expect(strip).to_have_attribute("aria-label", re.compile(rf"{name} \d+ times"))


def test_who_falls_silent_is_faded_and_then_leaves_the_list(replicas: Replicas, show: Open) -> None:
    """As a pod that lost its readiness: the page tells how to reach it. It comes back as it is."""
    view = show(replicas.url)
    gone = view.card(replicas.names[0])
    expect(gone).to_be_visible()
    view.page.clock.install()
    view.page.reload()
    expect(gone).to_be_visible()
    replicas.processes[replicas.names[0]].ask("/not-ready")
    expect(gone.get_by_text("not ready", exact=True)).to_be_visible()

    replicas.serving.remove(replicas.names[0])
    view.page.clock.fast_forward(12_000)
    expect(gone).to_have_class(re.compile("silent"))
    expect(gone).to_contain_text(f"kubectl exec {replicas.names[0]} -- python -m app.check")
    assert view.violations() == ""
    view.page.clock.fast_forward(90_000)
    expect(gone).to_have_count(0)

    replicas.serving.add(replicas.names[0])
    expect(gone).not_to_have_class(re.compile("silent"))


@BOTH
def test_a_crash_is_taken_kindly(alone: Replicas, show: Open, language: str) -> None:
    """The page says that nobody answers, asks on more and more slowly, and sees it come back."""
    (name,) = alone.names
    view = show(f"{alone.url}?lang={language}")
    expect(view.card(name)).to_be_visible()
    view.field("crash").fill("3")

    expect(view.press("crash")).to_contain_text(view.text("crashed"))

    assert alone.processes[name].wait() == 3
    status = view.page.get_by_role("status")
    for seconds in (2, 4):  # and then 8 and 10
        time = view.text("seconds", s=seconds)
        expect(status).to_have_text(view.text("nobody", time=time))
    alone.restart(name)
    view.page.get_by_role("button", name=view.words["ask_now"]).click()
    view.connected()
    expect(view.card(name)).to_contain_text(view.text("restarted"))
    expect(view.card(name)).to_contain_text(view.text("restarts_seen", count=1))


def test_a_hanging_replica_does_not_hold_the_page(alone: Replicas, show: Open) -> None:
    """Every question to it ends after a while; after the restart all is well."""
    (name,) = alone.names
    view = show(alone.url)
    view.connected()

    expect(view.press("hang")).to_contain_text("hanging from now on")
    expect(view.page.get_by_role("status")).to_contain_text("Nobody answered")
    expect(view.press("recover")).to_contain_text("Nobody answered")

    alone.restart(name)
    view.connected()
    expect(view.press("recover")).to_contain_text("already healthy")


def test_a_replica_that_dies_does_not_hide_the_other(replicas: Replicas, show: Open) -> None:
    view = show(replicas.url)
    for name in replicas.names:
        expect(view.card(name)).to_be_visible()

    view.press("crash")

    (dead,) = (name for name in replicas.names if replicas.processes[name].popen.poll() is not None)
    replicas.serving.remove(dead)
    (other,) = set(replicas.names) - {dead}
    view.connected()
    expect(view.page.locator("#strip .nobody").first).to_be_visible()
    expect(view.press("fail")).to_contain_text(view.text("did", host=other))


def test_the_requests_are_plotted(alone: Replicas, show: Open) -> None:
    """The page's own questions are not among them."""
    (name,) = alone.names
    view = show(alone.url)
    plot = view.page.get_by_role("img", name="Now ")
    expect(plot).to_have_attribute("aria-label", re.compile("at most 0 in the last minute"))

    for _ in range(30):
        alone.processes[name].ask("/")

    expect(plot).to_have_attribute("aria-label", re.compile(r"at most [1-9]\d* in the last minute"))


def test_a_bad_number_is_not_sent(alone: Replicas, show: Open) -> None:
    """The page says what would be good, at the field, and takes it back when it is good."""
    view = show(alone.url)
    view.connected()
    for text in ("", "0", "5000", "many", "-1", "1.5"):
        view.field("memory").fill(text)
        view.button("leak").click()
        alert = view.page.get_by_role("alert")
        expect(alert).to_have_text("Write a whole number from 1 to 4096.")
        expect(view.field("memory")).to_be_focused()
        expect(view.field("memory")).to_have_accessible_description(alert.text_content() or "")
    expect(view.page.get_by_role("log").get_by_role("listitem")).to_have_count(0)

    view.field("memory").fill("10")
    expect(view.press("leak")).to_contain_text("memory grows")
    expect(view.page.get_by_role("alert")).to_have_count(0)


def test_the_keyboard_is_enough(alone: Replicas, show: Open) -> None:
    """From the top with Tab to every button and field, in order; Enter presses, the focus stays."""
    view = show(alone.url)
    view.connected()
    view.page.keyboard.press("Tab")
    expect(view.page.get_by_role("link", name=view.words["skip"])).to_be_focused()
    view.page.keyboard.press("Enter")
    reached = []
    for _ in range(12):
        view.page.keyboard.press("Tab")
        reached.append(
            view.page.evaluate("(e => e.dataset.path ?? e.name)(document.activeElement)")
        )
        if reached[-1] in {"fail", "recover"}:
            view.page.keyboard.press("Enter")
            expect(view.last()).to_contain_text("did it")
            expect(view.button(reached[-1])).to_be_focused()

    expected = ["fail", "recover", "not-ready", "ready-again", "start-load", "stop-load"]
    assert reached == [*expected, "mib", "leak", "stop-leak", "code", "crash", "hang"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@BOTH
def test_it_fits_is_accessible_and_looks_as_the_picture_shows(
    replicas: Replicas, show: Open, language: str, width: int, scheme: str
) -> None:
    """No sideways scrolling, nothing that axe-core finds, and a picture for people to look at."""
    view = show(
        f"{replicas.url}?lang={language}",
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        device_scale_factor=2 if width < 500 else 1,
    )
    _some_life(view, replicas)

    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.violations() == ""
    kind = "phone" if width < 500 else "desktop"
    view.picture(f"{language}-{kind}-{scheme}")


def _some_life(view: View, replicas: Replicas) -> None:
    for name in replicas.names:
        expect(view.card(name)).to_be_visible()
        for _ in range(25):
            replicas.processes[name].ask("/")
    view.field("memory").fill("24")
    for path in ("start-load", "not-ready", "leak", "fail", "ready-again"):
        view.press(path)
    eventually(
        lambda: any(replicas.state(name)["leak_bytes"] > 20 * 2**20 for name in replicas.names),
        says="the leak has grown",
    )
    badge = view.page.get_by_text(re.compile(view.text("leaking", mib=24)))
    expect(badge).to_be_visible()


def test_the_policy_is_in_force(alone: Replicas, browser: Browser) -> None:
    """Neither a script in the page nor a picture from elsewhere would get through."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(alone.url)
    blocked: list[str] = page.evaluate(
        """async () => {
          const found = [];
          document.addEventListener("securitypolicyviolation",
                                    (event) => found.push(event.effectiveDirective));
          const script = document.createElement("script");
          try { script.text = "window.broken = true"; } catch { found.push("thrown"); }
          const image = document.createElement("img");
          image.src = "http://node.test/x.png";
          document.body.append(script, image);
          try { await fetch("http://node.test/"); } catch { /* as it must */ }
          const until = performance.now() + 5000;
          while (found.length < 4 && performance.now() < until)
            await new Promise((next) => setTimeout(next, 20));
          return found.sort();
        }"""
    )
    broken = page.evaluate("window.broken")
    context.close()

    assert {"connect-src", "img-src", "require-trusted-types-for", "thrown"} <= set(blocked)
    assert broken is None


def test_another_page_cannot_press_the_buttons(
    alone: Replicas, replicas: Replicas, browser: Browser
) -> None:
    """Neither one on another port of the same machine nor one whose origin alone gives it away."""
    (name,) = alone.names
    context = browser.new_context()
    page = context.new_page()
    here = urlsplit(alone.url).netloc
    posts = (
        "async (url) => { try { await fetch(url, {method: 'POST', mode: 'no-cors'}) } catch {} }"
    )
    for start in (f"127.0.0.1:{replicas.port}", f"node.test:{replicas.port}"):
        page.goto(f"http://{start}/")
        for target in (here, f"node.test:{alone.port}"):
            page.evaluate(posts, f"http://{target}/fail")
    assert alone.state(name)["healthy"]

    page.goto(f"http://{here}/")
    page.evaluate(posts, f"http://{here}/fail")
    assert not alone.state(name)["healthy"]
    context.close()


def test_the_buttons_work_through_a_node_port(alone: Replicas, show: Open) -> None:
    """Plain HTTP to a name that is not this machine's own: no Sec-Fetch-Site, only Origin."""
    (name,) = alone.names
    view = show(f"http://node.test:{alone.port}/panel")
    headers: list[dict[str, str]] = []

    def note(route: Route) -> None:
        headers.append(route.request.all_headers())
        route.continue_()

    view.page.route("**/fail", note)
    expect(view.press("fail")).to_contain_text(view.text("did", host=name))

    assert headers[0]["origin"] == f"http://node.test:{alone.port}"
    assert "sec-fetch-site" not in headers[0]
