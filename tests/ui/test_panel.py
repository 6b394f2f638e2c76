"""The panel in a browser: what a reader of the lab does with it."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from hack.testkit.wait import eventually
from tests.ui.app_replicas import AppReplicas
from tests.ui.conftest import TIMEOUT_MS, OpenPanel
from tests.ui.panel_page import PanelPage

expect.set_options(timeout=TIMEOUT_MS)

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
    alone: AppReplicas, show: OpenPanel, language: str
) -> None:
    """Seen at the replica itself, in its card and in the list of what happened."""
    (name,) = alone.names
    view = show(f"{alone.url}?lang={language}")
    view.find_field("memory").fill("20")
    for path, flag, value in EFFECTS:
        line = view.press_button(path)

        expect(line).to_contain_text(view.format_text("did", host=name))
        assert alone.read_state(name)[flag] is value, path
        if flag in {"healthy", "ready"}:
            word = flag if value else {"healthy": "unhealthy", "ready": "not_ready"}[flag]
            badge = view.find_card(name).get_by_text(view.format_text(word), exact=True)
            expect(badge).to_be_visible()
    again = view.press_button("recover")
    said = "already healthy"
    expect(again).to_contain_text(view.words["script"]["said"].get(said, said))


@BOTH
def test_the_panel_speaks_the_readers_language(
    alone: AppReplicas, show: OpenPanel, language: str
) -> None:
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


def test_two_replicas_are_told_apart(replicas: AppReplicas, show: OpenPanel) -> None:
    """Each has its own state, and each square and line names who it was."""
    view = show(replicas.url)
    for name in replicas.names:
        expect(view.find_card(name)).to_be_visible()

    line = view.press_button("fail")

    (ill,) = (name for name in replicas.names if not replicas.read_state(name)["healthy"])
    (well,) = set(replicas.names) - {ill}
    expect(line).to_contain_text(ill)
    expect(view.find_card(ill).get_by_text("unhealthy", exact=True)).to_be_visible()
    expect(view.find_card(well).get_by_text("healthy", exact=True)).to_be_visible()
    strip = view.page.locator("#strip")
    for name in replicas.names:
        expect(strip).to_have_attribute("aria-label", re.compile(rf"{name} \d+ times"))


def test_who_falls_silent_is_faded_and_then_leaves_the_list(
    replicas: AppReplicas, show: OpenPanel
) -> None:
    """As a pod that lost its readiness: the page tells how to reach it. It comes back as it is."""
    view = show(replicas.url)
    gone = view.find_card(replicas.names[0])
    expect(gone).to_be_visible()
    view.page.clock.install()
    view.page.reload()
    expect(gone).to_be_visible()
    replicas.processes[replicas.names[0]].get("/not-ready")
    expect(gone.get_by_text("not ready", exact=True)).to_be_visible()

    replicas.serving.remove(replicas.names[0])
    view.page.clock.fast_forward(12_000)
    expect(gone).to_have_class(re.compile("silent"))
    expect(gone).to_contain_text(f"kubectl exec {replicas.names[0]} -- python -m app.check")
    assert view.find_violations() == ""
    view.page.clock.fast_forward(90_000)
    expect(gone).to_have_count(0)

    replicas.serving.add(replicas.names[0])
    expect(gone).not_to_have_class(re.compile("silent"))


@BOTH
def test_a_crash_is_taken_kindly(alone: AppReplicas, show: OpenPanel, language: str) -> None:
    """The page says that nobody answers, asks on more and more slowly, and sees it come back."""
    (name,) = alone.names
    view = show(f"{alone.url}?lang={language}")
    expect(view.find_card(name)).to_be_visible()
    view.find_field("crash").fill("3")

    expect(view.press_button("crash")).to_contain_text(view.format_text("crashed"))

    assert alone.processes[name].wait_for_exit() == 3
    status = view.page.get_by_role("status")
    for seconds in (2, 4):  # and then 8 and 10
        time = view.format_text("seconds", s=seconds)
        expect(status).to_have_text(view.format_text("nobody", time=time))
    alone.restart(name)
    view.page.get_by_role("button", name=view.words["ask_now"]).click()
    view.wait_until_connected()
    expect(view.find_card(name)).to_contain_text(view.format_text("restarted"))
    expect(view.find_card(name)).to_contain_text(view.format_text("restarts_seen", count=1))


def test_a_hanging_replica_does_not_hold_the_page(alone: AppReplicas, show: OpenPanel) -> None:
    """Every question to it ends after a while; after the restart all is well."""
    (name,) = alone.names
    view = show(alone.url)
    view.wait_until_connected()

    expect(view.press_button("hang")).to_contain_text("hanging from now on")
    expect(view.page.get_by_role("status")).to_contain_text("Nobody answered")
    expect(view.press_button("recover")).to_contain_text("Nobody answered")

    alone.restart(name)
    view.wait_until_connected()
    expect(view.press_button("recover")).to_contain_text("already healthy")


def test_a_replica_that_dies_does_not_hide_the_other(
    replicas: AppReplicas, show: OpenPanel
) -> None:
    view = show(replicas.url)
    for name in replicas.names:
        expect(view.find_card(name)).to_be_visible()

    view.press_button("crash")

    (dead,) = (name for name in replicas.names if replicas.processes[name].popen.poll() is not None)
    replicas.serving.remove(dead)
    (other,) = set(replicas.names) - {dead}
    view.wait_until_connected()
    expect(view.page.locator("#strip .nobody").first).to_be_visible()
    expect(view.press_button("fail")).to_contain_text(view.format_text("did", host=other))


def test_the_requests_are_plotted(alone: AppReplicas, show: OpenPanel) -> None:
    """The page's own questions are not among them."""
    (name,) = alone.names
    view = show(alone.url)
    plot = view.page.get_by_role("img", name="Now ")
    expect(plot).to_have_attribute("aria-label", re.compile("at most 0 in the last minute"))

    for _ in range(30):
        alone.processes[name].get("/")

    expect(plot).to_have_attribute("aria-label", re.compile(r"at most [1-9]\d* in the last minute"))


def test_a_bad_number_is_not_sent(alone: AppReplicas, show: OpenPanel) -> None:
    """The page says what would be good, at the field, and takes it back when it is good."""
    view = show(alone.url)
    view.wait_until_connected()
    for text in ("", "0", "5000", "many", "-1", "1.5"):
        view.find_field("memory").fill(text)
        view.find_button("leak").click()
        alert = view.page.get_by_role("alert")
        expect(alert).to_have_text("Write a whole number from 1 to 4096.")
        expect(view.find_field("memory")).to_be_focused()
        expect(view.find_field("memory")).to_have_accessible_description(alert.text_content() or "")
    expect(view.page.get_by_role("log").get_by_role("listitem")).to_have_count(0)

    view.find_field("memory").fill("10")
    expect(view.press_button("leak")).to_contain_text("memory grows")
    expect(view.page.get_by_role("alert")).to_have_count(0)


def test_the_keyboard_is_enough(alone: AppReplicas, show: OpenPanel) -> None:
    """From the top with Tab to every button and field, in order; Enter presses, the focus stays."""
    view = show(alone.url)
    view.wait_until_connected()
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
            expect(view.last_log_entry()).to_contain_text("did it")
            expect(view.find_button(reached[-1])).to_be_focused()

    expected = ["fail", "recover", "not-ready", "ready-again", "start-load", "stop-load"]
    assert reached == [*expected, "mib", "leak", "stop-leak", "code", "crash", "hang"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@BOTH
def test_it_fits_is_accessible_and_looks_as_the_picture_shows(
    replicas: AppReplicas, show: OpenPanel, language: str, width: int, scheme: str
) -> None:
    """No sideways scrolling, nothing that axe-core finds, and a picture for people to look at."""
    view = show(
        f"{replicas.url}?lang={language}",
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        device_scale_factor=2 if width < 500 else 1,
    )
    create_activity(view, replicas)

    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.find_violations() == ""
    kind = "phone" if width < 500 else "desktop"
    view.save_screenshot(f"{language}-{kind}-{scheme}")


def create_activity(view: PanelPage, replicas: AppReplicas) -> None:
    for name in replicas.names:
        expect(view.find_card(name)).to_be_visible()
        for _ in range(25):
            replicas.processes[name].get("/")
    view.find_field("memory").fill("24")
    for path in ("start-load", "not-ready", "leak", "fail", "ready-again"):
        view.press_button(path)
    eventually(
        lambda: any(
            replicas.read_state(name)["leak_bytes"] > 20 * 2**20 for name in replicas.names
        ),
        description="the leak has grown",
    )
    badge = view.page.get_by_text(re.compile(view.format_text("leaking", mib=24)))
    expect(badge).to_be_visible()


def test_the_policy_is_in_force(alone: AppReplicas, browser: Browser) -> None:
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
    alone: AppReplicas, replicas: AppReplicas, browser: Browser
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
    assert alone.read_state(name)["healthy"]

    page.goto(f"http://{here}/")
    page.evaluate(posts, f"http://{here}/fail")
    assert not alone.read_state(name)["healthy"]
    context.close()


def test_the_buttons_work_through_a_node_port(alone: AppReplicas, show: OpenPanel) -> None:
    """Plain HTTP to a name that is not this machine's own: no Sec-Fetch-Site, only Origin."""
    (name,) = alone.names
    view = show(f"http://node.test:{alone.port}/panel")
    headers: list[dict[str, str]] = []

    def note(route: Route) -> None:
        headers.append(route.request.all_headers())
        route.continue_()

    view.page.route("**/fail", note)
    expect(view.press_button("fail")).to_contain_text(view.format_text("did", host=name))

    assert headers[0]["origin"] == f"http://node.test:{alone.port}"
    assert "sec-fetch-site" not in headers[0]
