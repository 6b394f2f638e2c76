"""Plays the steps of the story: types commands, waits for what must happen, keeps the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hack.scenarios.common.cluster_state import Picture, look
from hack.scenarios.common.console import Progress, Screen
from hack.scenarios.common.errors import ShowError, UnreachableError
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.demo.http_access import Answer, Door, NodePort, ServiceProxy

POLL = 0.4
"""Seconds between two looks at the cluster."""

APP = "scaling-demo"
"""The app of the story."""

NODE_PORT_LIMIT = 10
"""Seconds until a node port must answer; kube-proxy's rules come a moment after a ready pod."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it shows, how many seconds it takes as a rule, and how it goes.

    ``play`` returns what was seen, in one sentence.
    """

    title: str
    seconds: int
    play: Callable[["Stage"], str]


class Stage:
    """The cluster and the screen, as the steps of the story see them."""

    def __init__(
        self, kube: Kube, screen: Screen, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.kube = kube
        self._screen = screen
        self._clock = clock
        self._door: Door | None = None
        self._progress = self._begin(())
        self.picture = Picture()

    def play(self, steps: tuple[Step, ...]) -> float:
        """Play the steps one after the other; returns the seconds that it took.

        Raises:
            ShowError: a step did not go as it must; the message says which and why.
        """
        self._progress = progress = self._begin(steps)
        for number, step in enumerate(steps, 1):
            progress.number, progress.title = number, step.title
            progress.step_started, progress.step_expected = self._clock(), step.seconds
            self._screen.begin(progress)
            try:
                seen = step.play(self)
            except ShowError as error:
                raise ShowError(f"step {number}, {step.title!r}: {error}") from error
            progress.waiting = ""
            self._screen.end(progress, seen)
        return self._clock() - progress.started

    def _begin(self, steps: tuple[Step, ...]) -> Progress:
        return Progress(
            started=self._clock(),
            expected=sum(step.seconds for step in steps),
            count=len(steps),
            looking=self.kube.shown("get selfhealingapps"),
        )

    def say(self, text: str) -> None:
        """Explain something."""
        self._screen.say(text)

    def kubectl(self, arguments: str) -> None:
        """Type a kubectl command."""
        self._screen.typed(self.kube.shown(arguments), self.kube.kubectl(arguments))

    def ask(self, path: str) -> Answer:
        """Send the app a request through its Service, where everybody can see it."""
        door = self.door()
        answer = door.ask(path)
        self._screen.typed(door.command(path), str(answer))
        return answer

    def quietly(self, path: str) -> Answer:
        """Send the app a request through its Service without showing it."""
        return self.door().ask(path)

    def door(self) -> Door:
        """The way in: the node port, or the API server where nodes cannot be reached from here."""
        if self._door is None:
            endpoint = str(self.picture.status.get("endpoint", ""))
            by_port = NodePort(endpoint)
            try:
                self.until(f"{endpoint} answers", lambda _: by_port.ask("/").good, NODE_PORT_LIMIT)
                self._door = by_port
            except ShowError:
                self._door = ServiceProxy(self.kube, APP)
        return self._door

    def until(self, what: str, true: Callable[[Picture], bool], limit: float) -> Picture:
        """Look at the cluster until something is true, and show it meanwhile.

        Raises:
            ShowError: it did not become true within ``limit`` seconds.
        """
        self._progress.waiting = what
        deadline = self._clock() + limit
        while True:
            began, why = self._clock(), ""
            try:
                self.picture = look(self.kube, APP)
                self._screen.show(self.picture, self._progress)
                if true(self.picture):
                    return self.picture
            except UnreachableError as error:
                why = f": {error}"
            if began >= deadline:
                raise ShowError(f"it did not happen within {limit:.0f} s that {what}{why}")
            time.sleep(max(0.0, POLL - (self._clock() - began)))
