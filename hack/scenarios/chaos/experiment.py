"""Plays one half of a drill: the app, the requests, the fault, the waiting, and what came of it.

Everything that is waited for has a limit, and what was broken is put right again in any case.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Final

from hack.loadtest.service_access import to_service
from hack.scenarios.chaos import environment as place, fault_injectors, metrics
from hack.scenarios.chaos.environment import APP, Site
from hack.scenarios.chaos.evaluation import said
from hack.scenarios.chaos.faults import Fault
from hack.scenarios.chaos.metrics import Half
from hack.scenarios.chaos.run_state import LEAD, Course
from hack.scenarios.common import namespace
from hack.scenarios.common.console import Progress, Screen
from hack.scenarios.common.errors import ShowError, UnreachableError
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.request_stream import Stream, stream
from hack.scenarios.common.sampler import Watch
from hack.scenarios.common.timeline import Kind, timeline

NAME: Final = "drill"
"""Whose the namespace is."""

USERS: Final = 2
PAUSE: Final = 0.25
TIMEOUT: Final = 2.0
"""The stream: eight requests a second at the most, each answered within two seconds or failed."""

QUIET: Final = 15.0
"""Seconds without a failure that make "served again"; more than a late crash takes to come."""

LATER: Final = 10.0
"""Seconds after the fault at which what belongs into the middle of healing is done without it."""

_EVERY = 0.5
_SHARP = 0.03
_START_LIMIT = 120
_PROVEN_LIMIT = 90
_STEADY_LIMIT = 60
_SETTLE_LIMIT = 90


_FAILURES = (ShowError, AssertionError, LookupError, RuntimeError, OSError, SubprocessError)
"""What ends a half and not the run: the cluster, an operator or a tool does not as it must."""


class Play:
    """One half of a drill."""

    def __init__(
        self, fault: Fault, kube: Kube, screen: Screen, progress: Progress, *, healing: bool
    ) -> None:
        """Prepare to play.

        Args:
            fault: what is broken.
            kube: the cluster and the drill's namespace.
            screen: what is seen is shown there.
            progress: where the drill is.
            healing: whether the app is to be healed.
        """
        self._fault = fault
        self._kube = kube
        self._screen = screen
        self._progress = progress
        self._healing = healing

    def play(self, logs: Path) -> Half:
        """Play it from a clean start to a clean end.

        Args:
            logs: the operators' logs are files whose names begin so.
        """
        fault, progress = self._fault, self._progress
        progress.title = f"{fault.name}, {'with' if self._healing else 'without'} healing"
        progress.step_started, progress.waiting = time.monotonic(), ""
        self._screen.begin(progress)
        try:
            namespace.make(self._kube, NAME)
            half = self._played(logs)
        except _FAILURES as error:
            half = Half(self._healing, fault.limit, timeline((), (), 0.0), why=str(error))
            self._screen.say(f"FAILED: {error}")
        with suppress(ShowError):
            namespace.remove(self._kube)  # or else the next half does, and says why it cannot
        progress.waiting = ""
        if not half.why:
            self._screen.end(progress, said(half))
        return half

    def _played(self, logs: Path) -> Half:
        with ExitStack() as stack:
            show = lambda now: self._screen.show(now, self._progress)  # noqa: E731
            watch = stack.enter_context(Watch(self._kube, show, every=_EVERY))
            site = Site(self._kube, self._screen, self._healing, watch)
            count = self._fault.operators
            site.operators = place.operators(stack, self._kube.namespace, count, logs)
            self._begin(site)
            way = stack.enter_context(to_service(self._kube, APP))
            url = f"{way.url}/"
            sent = stack.enter_context(stream(url, users=USERS, pause=PAUSE, timeout=TIMEOUT))
            course = Course(self._fault, watch, sent)
            try:
                self._steady(sent)
                course.struck = course.now
                self._fault.strike(site)
                course.mark(course.struck, self._fault.told, Kind.FAULT)
                self._wait(site, course)
            finally:
                self._amend(site, course)
            self._settle(course)
            return course.half(healing=self._healing)

    # -- before the fault -------------------------------------------------------------------------

    def _begin(self, site: Site) -> None:
        """Have the app run, and its version known as one to go back to."""
        fault, watch = self._fault, site.watch
        site.apply(place.manifest(self._healing, fault.spec, fault.healing))
        self._until("the app is ready", lambda: watch.last.ready, _START_LIMIT)
        if "autoscaling" in fault.spec:
            what = "the autoscaler gets metrics"
            self._until(what, lambda: fault_injectors.scales(site), place.METRICS_LIMIT)
        if self._healing:
            what = "the version has proved itself"
            proved = lambda: metrics.healing(watch.last).get("goodTemplate")  # noqa: E731
            self._until(what, proved, _PROVEN_LIMIT)

    def _steady(self, sent: Stream) -> None:
        """Wait until requests have been answered for a while, all of them."""
        began = time.monotonic()

        def calm() -> bool:
            start = time.monotonic() - LEAD
            lately = sent.since(start)
            return start >= began and bool(lately) and all(each.pod for each in lately)

        self._until("all requests are answered", calm, _STEADY_LIMIT)

    # -- the fault --------------------------------------------------------------------------------

    def _wait(self, site: Site, course: Course) -> None:
        """Wait until the app is served in full again, or the time is over."""
        end = course.struck + self._fault.limit
        while True:
            self._go_on(site, course)
            self._tell(course)
            self._progress.waiting = f"it is served in full: {course.standing}"
            since = course.well_since
            if since is None or since > end or (self._fault.later and not course.later):
                if course.now >= end:
                    course.over = end
                    return
            elif course.watch.samples[-1].at - since >= QUIET:
                course.over, course.after = since, since - course.struck
                course.mark(since, "served in full again", Kind.WELL)
                return
            time.sleep(_SHARP if self._lurks(course) else place.POLL)

    def _go_on(self, site: Site, course: Course) -> None:
        """What is done again and again, and what is done once in the middle of healing."""
        if self._fault.steady:
            with suppress(UnreachableError):
                self._fault.steady(site)
        if self._fault.later is None or course.later:
            return
        # The app itself is asked, again and again: what is seen twice a second is seen too late.
        passed = course.now - course.struck
        if site.acts() if self._healing else passed >= LATER:
            course.later = True
            told, do = self._fault.later
            course.mark(course.now, told, Kind.FAULT)
            do(site)

    def _lurks(self, course: Course) -> bool:
        """Whether the middle of healing must not be missed."""
        return self._healing and self._fault.later is not None and not course.later

    def _tell(self, course: Course) -> None:
        for text in course.news():
            self._screen.say(text)

    # -- after the fault --------------------------------------------------------------------------

    def _amend(self, site: Site, course: Course) -> None:
        if not site.owes:
            return
        self._progress.waiting = "what was broken is put right"
        course.mark(course.now, self._progress.waiting)
        site.amend()

    def _settle(self, course: Course) -> None:
        """Wait until it is known what became of every action; if it never is, that is told."""

        def known() -> bool:
            self._tell(course)
            return not course.unknown

        with suppress(ShowError):
            self._until("it is known whether that has helped", known, _SETTLE_LIMIT)

    def _until(self, what: str, true: Callable[[], object], limit: float) -> None:
        self._progress.waiting = what
        place.until(what, true, limit)
