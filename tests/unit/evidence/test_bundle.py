"""What is written down before an action, and which of it is kept."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remedy
from selfhealing.cache.views import AppKey
from selfhealing.evidence.bundle import LIMIT, Exhibit, Log, config_map, is_of, key, update, write
from selfhealing.evidence.format import Source
from tests.unit import builders

Json = dict[str, Any]

APP = AppKey("shop", "web")
OOM = builders.ended(137, "OOMKilled")
POD = builders.pod("web-abc-1", builders.crash_loop(3, OOM))
NAMES = st.text(max_size=253)


def action(number: int = 12, remedy: Remedy = Remedy.RAISE_MEMORY, **more: object) -> HealingAction:
    """A decision."""
    return HealingAction.model_validate(
        {
            "id": number,
            "remedy": remedy,
            "diagnosis": "OOMKilled",
            "target": "web-abc-1",
            "outcome": ActionOutcome.STARTED,
            "at": builders.at(60),
            "message": "the container app used more than 128Mi three times",
            **more,
        }
    )


def exhibit(what: HealingAction | None = None, **more: Any) -> Exhibit:  # noqa: ANN401 - its fields
    """What was found."""
    return Exhibit(APP, what or action(), builders.at(61), **more)


def log(text: str, container: str = "app", *, previous: bool = True) -> Log:
    """A log as it was read."""
    return Log(Source(container, previous), text)


class TestText:
    """What a reader finds."""

    def test_the_header_says_what_and_why_and_when(self) -> None:
        """It is there also when there is nothing else."""
        assert [
            "Action 12: RaiseMemory, decided 2026-01-01T12:01:00Z",
            "app:    shop/web",
            "for:    OOMKilled",
            "target: web-abc-1 (uid abc)",
            "why:    the container app used more than 128Mi three times",
            "seen:   2026-01-01T12:01:01Z, before anything was done; what looks secret is masked",
        ] == write(exhibit(action(uid="abc"))).splitlines()

    def test_the_header_without_a_target_and_a_reason(self) -> None:
        """Both may be empty."""
        text = write(exhibit(action(target="", message="")))

        assert "target: the app\nwhy:    not said\n" in text

    def test_the_parts_stand_in_the_order_in_which_they_are_read(self) -> None:
        """From what is wrong to what may be the cause."""
        text = write(
            exhibit(
                pod=POD,
                use=[{"name": "app", "usage": {"cpu": "12m"}}],
                events=[builders.killing("web-abc-1", 5)],
                logs=[log("boom\n"), log("", previous=False)],
                wanted={"image": "v2"},
                kept={"image": "v1"},
                gaps=["its Events: no answer in 5 s"],
            )
        )

        assert [
            "== What could not be had ==",
            "== Pod web-abc-1 ==",
            "== Use of CPU and memory ==",
            "== Events ==",
            "== Log of the container app, the run before its last restart: the last lines ==",
            "== Log of the container app, its present or last run: the last lines ==",
            "== New in this version ==",
        ] == [line for line in text.splitlines() if line.startswith("==")]
        assert "\n- its Events: no answer in 5 s\n" in text
        assert "memory ==\napp: cpu 12m\n" in text
        assert "lines ==\nboom\n\n==" in text
        assert "lines ==\n(empty)\n" in text
        assert "-image: v1\n+image: v2\n" in text

    def test_versions_that_are_alike_are_said_to_be(self) -> None:
        """And with only one of them nothing is said."""
        same = {"image": "v1"}

        assert "\nno difference\n" in write(exhibit(wanted=same, kept=same))
        assert "New in" not in write(exhibit(wanted=same))
        assert "New in" not in write(exhibit(kept=same))

    def test_no_part_tells_a_secret(self) -> None:
        """Wherever it stands, and also where the cut would have fallen into it."""
        hidden = "postgres://bob:hunter2@db"
        event = {**builders.killing("web-abc-1", 5), "message": hidden}
        pod = builders.pod(
            "web-abc-1", builders.waiting("StartError", hidden), status={"message": hidden}
        )
        text = write(
            exhibit(
                action(message=f"{hidden} and more"),
                pod=pod,
                events=[event],
                logs=[
                    log(f"{hidden}\n\x1b[1mpassword\x1b[0m=hunter2\npassword={'hunter2' * 9000}")
                ],
                wanted={"args": [hidden]},
                kept={},
                gaps=[hidden],
            )
        )

        assert "hunter2" not in text
        assert 9 == text.count("<redacted>")


class TestRoom:
    """A text has a bound, and what tells the most stays."""

    def test_of_a_log_the_end_stays(self) -> None:
        """In whole lines; and the header is whole."""
        lines = [f"line {number} of a long log" for number in range(2000)]
        text = write(exhibit(logs=[log("\n".join(lines))]))

        assert LIMIT - 40 < len(text.encode()) <= LIMIT
        assert text.startswith(write(exhibit()))
        assert text.endswith(f"{lines[-2]}\n{lines[-1]}\n")
        assert "last lines ==\n[…]\nline " in text

    def test_of_a_single_long_line_the_end_stays(self) -> None:
        """In whole characters."""
        text = write(exhibit(logs=[log("日" * 9000 + "end")]))

        assert LIMIT - 8 < len(text.encode()) <= LIMIT
        assert text.endswith("日end\n")
        assert "==\n[…]\n日日" in text

    def test_what_a_log_does_not_need_is_the_next_one_s(self) -> None:
        """And they stand in the order in which they were read."""
        long = "\n".join(f"entry {number}" for number in range(3000))
        text = write(exhibit(logs=[log(long), log("short"), log(long, "proxy")]))
        sizes = [len(part) for part in text.split("\n== Log of ")[1:]]

        assert sizes[0] > 7000
        assert sizes[1] < 100
        assert sizes[2] > 7000
        assert len(text.encode()) <= LIMIT

    def test_of_the_events_the_latest_stay(self) -> None:
        """Of the pod and of the templates the beginning."""
        events = [
            {**builders.killing("web-abc-1", number), "message": f"event {number} " + "x" * 90}
            for number in range(100)
        ]
        pod = builders.pod(
            "web-abc-1", *(builders.running(name=f"c{number}") for number in range(40))
        )
        wanted = {f"field{number}": "x" * 50 for number in range(1000, 1200)}
        text = write(exhibit(pod=pod, events=events, wanted=wanted, kept={}))

        assert "event 99 " in text
        assert "event 1 " not in text
        assert "container c0:" in text
        assert "container c39:" not in text
        assert "field1000" in text
        assert "field1199" not in text
        assert 3 == text.count("[…]")

    @given(
        texts=st.lists(NAMES, min_size=8, max_size=8),
        message=st.text(max_size=64),
        often=st.integers(1, 3000),
        count=st.integers(0, 9),
    )
    def test_it_has_never_more_than_its_limit(
        self, texts: list[str], message: str, often: int, count: int
    ) -> None:
        """Whatever was found, in whatever alphabet."""
        long = message * often
        what = action(target=texts[0], message=(message * 16)[:1024], diagnosis=texts[1][:128])
        conditions = [{"type": texts[2], "message": long} for _ in range(count)]
        text = write(
            exhibit(
                what,
                pod={"metadata": {"name": "web-1"}, "status": {"conditions": conditions}},
                events=[{"metadata": {}, "reason": texts[3], "message": long}] * count,
                logs=[log(long, "c" * 63)] * count,
                wanted={"a": [long] * count},
                kept={"a": texts[4:]},
                gaps=[long] * count,
            )
        )

        assert len(text.encode()) <= LIMIT
        assert is_of(what, text)


class TestKeeping:
    """The ConfigMap keeps the texts of the last ten ids."""

    @pytest.mark.parametrize(
        ("remedy", "expected"),
        [
            (Remedy.ROLLBACK, "12-rollback.txt"),
            (Remedy.RAISE_MEMORY, "12-raise-memory.txt"),
            (Remedy.SCALING_FALLBACK, "12-scaling-fallback.txt"),
        ],
    )
    def test_the_key_says_which_action_it_was(self, remedy: Remedy, expected: str) -> None:
        """In letters that a ConfigMap allows."""
        assert expected == key(action(remedy=remedy))

    def test_the_config_map_is_the_app_s(self) -> None:
        """By its name."""
        assert "web-evidence" == config_map("web")

    def test_a_text_is_known_by_its_action(self) -> None:
        """By its id alone it is not: ids may begin anew."""
        text = write(exhibit())

        assert is_of(action(), text)
        assert is_of(action(outcome=ActionOutcome.HELPED), text)
        assert not is_of(action(at=builders.at(90)), text)
        assert not is_of(action(), "")

    def test_old_ones_go_and_strangers_stay(self) -> None:
        """Also those of ids to come: they are from before the ids began anew."""
        present = [
            "1-recycle.txt",
            "2-rollback.txt",
            "3-recycle.txt",
            "11-recycle.txt",
            "12-recycle.txt",
            "12-raise-memory.txt",
            "13-failover.txt",
            "notes",
            "2-Rollback.txt",
            "99999999999-recycle.txt",
        ]

        assert {
            "1-recycle.txt": None,
            "2-rollback.txt": None,
            "12-recycle.txt": None,
            "13-failover.txt": None,
            "12-raise-memory.txt": "text",
        } == update(action(), "text", present)

    @given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(Remedy)), max_size=80))
    def test_there_are_never_more_than_ten(self, actions: list[tuple[int, Remedy]]) -> None:
        """However the ids jump; so a ConfigMap is never too large."""
        data: dict[str, str] = {}
        for number, remedy in actions:
            what = action(number, remedy)
            merged = {**data, **update(what, "text", data)}
            data = {name: text for name, text in merged.items() if text is not None}

            assert key(what) in data
            assert len(data) <= 10
