"""The text of the evidence, and which texts the ConfigMap keeps."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remediation
from selfhealing.cache.views import AppKey
from selfhealing.evidence.bundle import (
    LINE_LIMIT,
    MAX_BYTES,
    ContainerLog,
    EvidenceBundle,
    build_retention_patch,
    config_map_name,
    evidence_key,
    is_evidence_of,
    render_evidence,
)
from selfhealing.evidence.format import LogSource
from tests.unit import builders

Json = dict[str, Any]

APP = AppKey("shop", "web")
OOM = builders.termination(137, "OOMKilled")
POD = builders.pod("web-abc-1", builders.crash_loop(3, OOM))
TEXTS = st.text(max_size=253)


def action(
    number: int = 12, remediation: Remediation = Remediation.RAISE_MEMORY, **more: object
) -> HealingAction:
    """An action."""
    return HealingAction.model_validate(
        {
            "id": number,
            "remediation": remediation,
            "diagnosis": "OOMKilled",
            "target": "web-abc-1",
            "outcome": ActionOutcome.IN_PROGRESS,
            "at": builders.at(60),
            "message": "the container app used more than 128Mi three times",
            **more,
        }
    )


def bundle(for_action: HealingAction | None = None, **more: Any) -> EvidenceBundle:  # noqa: ANN401 - its fields
    """A bundle of evidence."""
    return EvidenceBundle(APP, for_action or action(), builders.at(61), **more)


def container_log(text: str, container: str = "app", *, previous: bool = True) -> ContainerLog:
    """A log of a container."""
    return ContainerLog(LogSource(container, previous), text)


class TestText:
    """The sections of a text."""

    def test_the_header(self) -> None:
        """A text without other sections has the header, too."""
        assert [
            "Action 12: RaiseMemory, decided 2026-01-01T12:01:00Z",
            "app:       shop/web",
            "diagnosis: OOMKilled",
            "target:    web-abc-1 (uid abc)",
            "reason:    the container app used more than 128Mi three times",
            "collected: 2026-01-01T12:01:01Z, before the action; secrets are redacted",
        ] == render_evidence(bundle(action(uid="abc"))).splitlines()

    def test_the_header_without_a_target_and_a_reason(self) -> None:
        """Both may be empty."""
        text = render_evidence(bundle(action(target="", message="")))

        assert "target:    the app\nreason:    not given\n" in text

    def test_the_order_of_the_sections(self) -> None:
        """From the effect to the possible cause."""
        text = render_evidence(
            bundle(
                pod=POD,
                usage=[{"name": "app", "usage": {"cpu": "12m"}}],
                events=[builders.probe_kill_event("web-abc-1", 5)],
                logs=[container_log("boom\n"), container_log("", previous=False)],
                desired_template={"image": "v2"},
                stable_template={"image": "v1"},
                missing=["its Events: no answer in 5 s"],
            )
        )

        assert [
            "== Missing ==",
            "== Pod web-abc-1 ==",
            "== CPU and memory usage ==",
            "== Events ==",
            "== Log of the container app, the run before its last restart: the last lines ==",
            "== Log of the container app, its current or last run: the last lines ==",
            "== New in this revision ==",
        ] == [line for line in text.splitlines() if line.startswith("==")]
        assert "\n- its Events: no answer in 5 s\n" in text
        assert "usage ==\napp: cpu 12m\n" in text
        assert "lines ==\n| boom\n\n==" in text
        assert "lines ==\n(empty)\n" in text
        assert "-image: v1\n+image: v2\n" in text

    def test_equal_templates(self) -> None:
        """The text says that they are equal; with only one template there is no section."""
        same = {"image": "v1"}

        assert "\nno difference\n" in render_evidence(
            bundle(desired_template=same, stable_template=same)
        )
        assert "New in" not in render_evidence(bundle(desired_template=same))
        assert "New in" not in render_evidence(bundle(stable_template=same))

    def test_no_section_contains_a_secret(self) -> None:
        """Also where a cut would split the secret."""
        hidden = "postgres://bob:hunter2@db"
        event = {**builders.probe_kill_event("web-abc-1", 5), "message": hidden}
        pod = builders.pod(
            "web-abc-1", builders.waiting("StartError", hidden), status={"message": hidden}
        )
        text = render_evidence(
            bundle(
                action(message=f"{hidden} and more"),
                pod=pod,
                events=[event],
                logs=[
                    container_log(
                        f"{hidden}\n\x1b[1mpassword\x1b[0m=hunter2\npassword={'hunter2' * 9000}"
                    )
                ],
                desired_template={"args": [hidden]},
                stable_template={},
                missing=[hidden],
            )
        )

        assert "hunter2" not in text
        assert 8 == text.count("<redacted>")


class TestSize:
    """A text has a size limit, and the most useful parts stay."""

    def test_of_a_log_the_end_stays(self) -> None:
        """In whole lines; the header is never cut."""
        lines = [f"line {number} of a long log" for number in range(2000)]
        text = render_evidence(bundle(logs=[container_log("\n".join(lines))]))

        assert MAX_BYTES - 40 < len(text.encode()) <= MAX_BYTES
        assert text.startswith(render_evidence(bundle()))
        assert text.endswith(f"| {lines[-2]}\n| {lines[-1]}\n")
        assert "last lines ==\n[…]\n| line " in text

    def test_of_a_long_line_the_beginning_stays(self) -> None:
        """It is cut at a blank, as a part of a secret could not be recognised."""
        text = render_evidence(bundle(logs=[container_log("日本 " * 9000 + "end")]))

        assert text.endswith("日本 日本 […]\n")
        assert "日本\n" not in text
        assert len(text) < LINE_LIMIT + 1000

    def test_a_long_word_is_left_out(self) -> None:
        """Nobody knows what it is a part of."""
        text = render_evidence(bundle(logs=[container_log("a" * 9000)]))

        assert text.endswith("lines ==\n| […]\n")

    @pytest.mark.parametrize("count", range(1, 7))
    def test_of_one_line_that_does_not_fit_the_end_stays(self, count: int) -> None:
        """It is quoted, too."""
        logs = [container_log("== Events == " * 300, f"c{number}") for number in range(count)]
        long = " ".join(["message"] * 900)
        text = render_evidence(bundle(logs=logs, missing=[long] * 9, pod=POD))

        assert len(text.encode()) <= MAX_BYTES
        assert "\n== Events" not in text

    @given(st.text(st.sampled_from("= \nEvents|")), st.text(st.sampled_from("= \nEvents|")))
    def test_no_text_looks_like_a_heading(self, log: str, message: str) -> None:
        """Every heading is the operator's own."""
        event = {**builders.probe_kill_event("web-abc-1", 5), "message": message, "reason": log}
        text = render_evidence(
            bundle(
                action(message=message),
                logs=[container_log(log)],
                events=[event],
                missing=[message],
                desired_template={"a": log},
                stable_template={"a": message},
            )
        )

        assert [
            "== Missing ==",
            "== Events ==",
            "== Log of the container app, the run before its last restart: the last lines ==",
            "== New in this revision ==",
        ] == [line for line in text.splitlines() if line.startswith("==")]

    def test_a_short_log_leaves_its_share_to_the_others(self) -> None:
        """The order of the logs stays."""
        long = "\n".join(f"entry {number}" for number in range(3000))
        text = render_evidence(
            bundle(logs=[container_log(long), container_log("short"), container_log(long, "proxy")])
        )
        sizes = [len(part) for part in text.split("\n== Log of ")[1:]]

        assert sizes[0] > 7000
        assert sizes[1] < 100
        assert sizes[2] > 7000
        assert len(text.encode()) <= MAX_BYTES

    def test_of_the_events_the_latest_stay(self) -> None:
        """Of the pod and of the templates the beginning stays."""
        events = [
            {
                **builders.probe_kill_event("web-abc-1", number),
                "message": f"event {number} " + "x" * 90,
            }
            for number in range(100)
        ]
        pod = builders.pod(
            "web-abc-1", *(builders.running(name=f"c{number}") for number in range(40))
        )
        wanted = {f"field{number}": "x" * 50 for number in range(1000, 1200)}
        text = render_evidence(
            bundle(pod=pod, events=events, desired_template=wanted, stable_template={})
        )

        assert "event 99 " in text
        assert "event 1 " not in text
        assert "container c0:" in text
        assert "container c39:" not in text
        assert "field1000" in text
        assert "field1199" not in text
        assert 3 == text.count("[…]")

    @given(
        texts=st.lists(TEXTS, min_size=8, max_size=8),
        message=st.text(max_size=64),
        often=st.integers(1, 3000),
        count=st.integers(0, 9),
    )
    def test_it_never_exceeds_the_limit(
        self, texts: list[str], message: str, often: int, count: int
    ) -> None:
        """Whatever was collected, in any alphabet."""
        long = message * often
        raising = action(target=texts[0], message=(message * 16)[:1024], diagnosis=texts[1][:128])
        conditions = [{"type": texts[2], "message": long} for _ in range(count)]
        text = render_evidence(
            bundle(
                raising,
                pod={"metadata": {"name": "web-1"}, "status": {"conditions": conditions}},
                events=[{"metadata": {}, "reason": texts[3], "message": long}] * count,
                logs=[container_log(long, "c" * 63)] * count,
                desired_template={"a": [long] * count},
                stable_template={"a": texts[4:]},
                missing=[long] * count,
            )
        )

        assert len(text.encode()) <= MAX_BYTES
        assert is_evidence_of(raising, text)


class TestRetention:
    """The ConfigMap keeps the texts of the last ten ids."""

    @pytest.mark.parametrize(
        ("remediation", "expected"),
        [
            (Remediation.ROLLBACK, "12-rollback.txt"),
            (Remediation.RAISE_MEMORY, "12-raise-memory.txt"),
            (Remediation.SCALING_FALLBACK, "12-scaling-fallback.txt"),
        ],
    )
    def test_the_key_names_the_action(self, remediation: Remediation, expected: str) -> None:
        """In characters that a ConfigMap key allows."""
        assert expected == evidence_key(action(remediation=remediation))

    def test_the_name_of_the_config_map(self) -> None:
        """It has the name of the app."""
        assert "web-evidence" == config_map_name("web")

    def test_a_text_belongs_to_its_action(self) -> None:
        """The id alone is not enough: ids may restart."""
        text = render_evidence(bundle())

        assert is_evidence_of(action(), text)
        assert is_evidence_of(action(outcome=ActionOutcome.SUCCEEDED), text)
        assert not is_evidence_of(action(at=builders.at(90)), text)
        assert not is_evidence_of(action(), "")

    def test_old_keys_are_removed_and_other_keys_stay(self) -> None:
        """Keys with higher ids are removed, too: they are from before the ids restarted."""
        present = [
            "1-replace-pod.txt",
            "2-rollback.txt",
            "3-replace-pod.txt",
            "11-replace-pod.txt",
            "12-replace-pod.txt",
            "12-raise-memory.txt",
            "13-failover.txt",
            "notes",
            "2-Rollback.txt",
            "99999999999-replace-pod.txt",
        ]

        assert {
            "1-replace-pod.txt": None,
            "2-rollback.txt": None,
            "12-replace-pod.txt": None,
            "13-failover.txt": None,
            "12-raise-memory.txt": "text",
        } == build_retention_patch(action(), "text", present)

    def test_a_repeated_text_stands_beside_the_first(self) -> None:
        """It is not known who wrote the first one: it may be the operator, before a restart."""
        present = ["12-raise-memory.txt", "12-raise-memory-again.txt", "12-rollback.txt"]

        assert {
            "12-rollback.txt": None,
            "12-raise-memory-again.txt": "text",
        } == build_retention_patch(action(), "text", present, is_repeated=True)
        assert {
            "12-rollback.txt": None,
            "12-raise-memory-again.txt": None,
            "12-raise-memory.txt": "text",
        } == build_retention_patch(action(), "text", present)

    @given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(Remediation)), max_size=80))
    def test_there_are_never_more_than_ten(self, actions: list[tuple[int, Remediation]]) -> None:
        """So the ConfigMap never exceeds its size limit, however the ids change."""
        data: dict[str, str] = {}
        for number, remediation in actions:
            decided = action(number, remediation)
            merged = {**data, **build_retention_patch(decided, "text", data)}
            data = {name: text for name, text in merged.items() if text is not None}

            assert evidence_key(decided) in data
            assert len(data) <= 10
