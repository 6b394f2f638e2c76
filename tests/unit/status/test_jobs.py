"""The status of an app that runs as a Job."""

from typing import Any, ClassVar

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.render.job import run_hash
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.builders import (
    crash_loop,
    evicted_pod,
    job,
    job_pod,
    pod_stop_event,
    probe_kill_event,
    running,
    terminated,
    termination,
    waiting,
)
from tests.unit.snapshots import Json, evaluate_app, evaluate_invalid_app, status_json

SPEC: Json = {"image": "web:v1", "restartPolicy": "Never"}
RUN_HASH = run_hash(parse_spec(SPEC), build_pod_template("web", parse_spec(SPEC)))


def evaluate_job(*objects: Json, **more: Any) -> Any:  # noqa: ANN401 - as tell
    """Evaluate an app that runs as a Job."""
    return evaluate_app(*objects, **{"spec": SPEC, **more})


def summarize_job(*objects: Json, **more: Any) -> tuple[str, str, str, str, str]:  # noqa: ANN401 - as tell
    """Phase, whether it is Ready, reason, ready pods and message."""
    status = evaluate_job(*objects, **more).status
    ready = next(c for c in status.conditions if c.type == "Ready")
    return (str(status.phase), str(ready.status), ready.reason, status.ready or "", ready.message)


def find_condition(kind: str, *objects: Json, **more: Any) -> tuple[str, str, str]:  # noqa: ANN401 - as tell
    """Status, reason and message of a condition."""
    condition = next(c for c in evaluate_job(*objects, **more).status.conditions if c.type == kind)
    return str(condition.status), condition.reason, condition.message


def make_failed_pod(
    name: str = "web-1",
    end: Json | None = None,
    **more: Any,  # noqa: ANN401 - as pod
) -> Json:
    """A pod whose container failed."""
    return job_pod(name, terminated(end or termination(3, finished=40)), phase="Failed", **more)


def make_succeeded_pod(name: str = "web-1", end: Json | None = None, **more: Any) -> Json:  # noqa: ANN401 - as pod
    """A pod whose container succeeded."""
    done = terminated(end or termination(0, "Completed", finished=40))
    return job_pod(name, done, phase="Succeeded", **more)


class TestProgress:
    """From nothing to the completion."""

    def test_nothing_yet(self) -> None:
        """The wanted number of pods comes from the spec."""
        assert (
            "Pending",
            "False",
            "Creating",
            "0/1",
            "the Job is being created",
        ) == summarize_job()

    @pytest.mark.parametrize(
        ("given", "ready"),
        [({"parallelism": 3}, "0/3"), ({"completions": 2, "parallelism": 3}, "0/2"),
         ({"completions": 5, "parallelism": 3}, "0/3"), ({"completions": 5}, "0/1")],
    )  # fmt: skip
    def test_how_many_are_wanted(self, given: Json, ready: str) -> None:
        """At most the number of completions that are missing, as the Job itself does."""
        made = job(spec={"completions": None, "parallelism": 1, **given})

        assert ready == summarize_job(spec={**SPEC, "job": given})[3]
        assert ready == summarize_job(made)[3]

    def test_no_pods_yet(self) -> None:
        """A new Job has no pods."""
        message = "0 of 1 pod ready; waiting for pods to be created"

        assert ("Pending", "False", "PodsPending", "0/1", message) == summarize_job(job(), now=29)
        assert 1 == evaluate_job(job(), now=29).requeue_after
        assert "PodsPending" == summarize_job(job(status={"startTime": None}))[2]

    def test_no_pods_are_created(self) -> None:
        """For example because of a quota, which a Job reports by Events only."""
        message = "0 of 1 pod ready; it has no pod, see kubectl describe job web"

        assert ("Degraded", "False", "NoPods", "0/1", message) == summarize_job(job(), now=30)
        assert "Creating" == summarize_job(now=30)[2]

    def test_no_node_yet(self) -> None:
        """A pod that is not scheduled yet."""
        found = summarize_job(job(), job_pod(node="", phase="Pending"))

        assert ("PodsPending", "0 of 1 pod ready; waiting for a node") == (found[2], found[4])

    def test_starting(self) -> None:
        """The pod is scheduled, and is not ready yet."""
        starting = job_pod("web-1", waiting("ContainerCreating"), phase="Pending")

        assert ("Progressing", "False", "PodsStarting", "0/1", "0 of 1 pod ready; starting") == (
            summarize_job(job(), starting)
        )

    def test_running(self) -> None:
        """All wanted pods are ready, so the app is Ready."""
        found = evaluate_job(job(), job_pod("web-1", running()), now=10)

        assert ("Ready", "True", "AllPodsReady", "1/1", "1 of 1 pod ready") == summarize_job(
            job(), job_pod("web-1", running())
        )
        assert (1, 1, 1) == (
            found.status.replicas,
            found.status.ready_replicas,
            found.status.updated_replicas,
        )
        assert ("True", "JobRunning", "0 of 1 pod succeeded") == find_condition(
            "Progressing", job(), job_pod("web-1", running())
        )

    @pytest.mark.parametrize("name", ["container", "pod"])
    def test_the_success_of_a_container_is_no_fault(self, name: str) -> None:
        """Whether the pod's phase shows it already or not."""
        done = terminated(termination(0, "Completed"))
        pod = job_pod("web-1", done, phase="Running" if name == "container" else "Succeeded")

        assert summarize_job(job(), pod)[0] == "Progressing"
        assert ("True", "NothingFails") == find_condition("Healthy", job(), pod)[:2]

    @pytest.mark.parametrize("code", [0, 143, 1])
    def test_the_end_of_a_sidecar_is_part_of_the_end(self, code: int) -> None:
        """The kubelet stops it after the app, and its exit code does not count."""
        ending = job_pod(
            "web-1",
            terminated(termination(0, "Completed", finished=40)),
            terminated(termination(code, "Error", finished=41), name="proxy"),
            ready=False,
        )

        assert ("Progressing", "JobEnding") == summarize_job(job(), ending)[0:3:2]
        assert "True" == find_condition("Healthy", job(), ending)[0]

    def test_a_sidecar_that_crashes_beside_the_app_is_a_fault(self) -> None:
        """The app still runs."""
        pod = job_pod(
            "web-1",
            running(),
            terminated(termination(1, "Error", finished=41), name="proxy"),
            ready=False,
        )

        assert "Degraded" == summarize_job(job(), pod)[0]

    def test_every_pod_has_succeeded(self) -> None:
        """The Job's status does not show it yet."""
        message = "every pod has succeeded; the Job is ending"

        assert ("Progressing", "False", "JobEnding", "0/0", message) == summarize_job(
            job(), make_succeeded_pod()
        )

    def test_completed(self) -> None:
        """The app is Completed, and Ready: everything that the spec asks for is done."""
        found = evaluate_job(job(run_hash=RUN_HASH, result="Complete"), make_succeeded_pod())

        assert ("Completed", "True", "Completed", "0/0", "completed") == summarize_job(
            job(result="Complete"), make_succeeded_pod()
        )
        assert {
            "run": RUN_HASH,
            "succeeded": 1,
            "failed": 0,
            "result": "Complete",
            "startedAt": builders.iso(0),
            "finishedAt": builders.iso(50),
            "backoffLimit": 6,
        } == status_json(found)["job"]
        assert "Completed" == found.status.pods[0].reason
        assert ("False", "JobComplete") == find_condition("Progressing", job(result="Complete"))[:2]
        assert [("Normal", "Completed")] == [(n.type, n.reason) for n in found.events]

    def test_completed_by_several(self) -> None:
        """With the number of succeeded pods."""
        done = job(result="Complete", status={"succeeded": 3})

        assert "completed, 3 pods succeeded" == summarize_job(done)[4]

    def test_the_first_success_is_enough(self) -> None:
        """Without completions the Job creates no pod after the first success."""
        queue = job(spec={"completions": None, "parallelism": 2})
        other = job_pod("web-2", running())

        assert "1/1" == summarize_job(queue, make_succeeded_pod(), other)[3]
        assert "it runs" == find_condition("Progressing", queue, other)[2]

    def test_a_success_after_a_kill_by_a_probe(self) -> None:
        """The app is Completed, and the message says that a probe had it stopped."""
        end = termination(0, "Completed", started=0, finished=40)
        message = (
            "completed; web-1: failed its liveness probe, but ended with exit code 0, which is "
            "success"
        )

        pod = make_succeeded_pod(end=end, probes=["liveness"])

        assert message == summarize_job(job(result="Complete"), pod, pod_stop_event("web-1", 39))[4]
        assert "completed" == summarize_job(job(result="Complete"), pod)[4]

    def test_suspended(self) -> None:
        """A person or a queue of Jobs has suspended it."""
        suspended = job(spec={"suspend": True})
        phase, ready, reason, _, message = summarize_job(suspended)

        assert ("Progressing", "False", "JobSuspended") == (phase, ready, reason)
        assert message.startswith("the Job is suspended; to go on: kubectl patch job/web ")
        assert ("Unknown", "JobSuspended") == find_condition("Progressing", suspended)[:2]


class TestFaults:
    """Faults of a Job."""

    def test_a_container_is_restarted_again_and_again(self) -> None:
        """With OnFailure, as in a Deployment."""
        pod = job_pod("web-1", crash_loop(3, termination(1)), policy="OnFailure")

        assert ("Degraded", "CrashLoopBackOff") == summarize_job(job(), pod)[::2][:2]

    def test_between_two_pods(self) -> None:
        """With Never, the Job creates the next pod after a back-off."""
        message = "0 of 1 pod ready; web-1: crashed, exit code 3; the Job makes another pod"

        assert ("Degraded", "False", "Error", "0/1", message) == summarize_job(
            job(), make_failed_pod()
        )

    def test_the_next_pod_is_there(self) -> None:
        """While it starts, and when it is ready."""
        starting = job_pod("web-2", waiting("ContainerCreating"), created=50, phase="Pending")
        up = job_pod("web-2", running(since=60), created=50)

        assert "Progressing" == summarize_job(job(), make_failed_pod(), starting)[0]
        assert "Ready" == summarize_job(job(), make_failed_pod(), up)[0]

    @pytest.mark.parametrize(
        ("reason", "why"),
        [
            ("BackoffLimitExceeded", "it failed more often than backoffLimit allows"),
            ("DeadlineExceeded", "it ran for longer than activeDeadlineSeconds"),
            ("PodFailurePolicy", "Container app failed"),
        ],
    )
    def test_given_up(self, reason: str, why: str) -> None:
        """With the Job's reason, and with the failure of its last pod."""
        over = job(result="Failed", reason=reason, message="Container app failed. More.")
        message = f"the Job has given up: {why}; web-1: crashed, exit code 3"

        assert ("Degraded", "False", reason, "0/1", message) == summarize_job(
            over, make_failed_pod()
        )
        assert ("False", reason, message) == find_condition("Healthy", over, make_failed_pod())
        assert ("False", reason) == find_condition("Progressing", over)[:2]
        assert f"the Job has given up: {why}" == summarize_job(over)[4]

    def test_about_to_give_up(self) -> None:
        """Before the last pod has stopped, with the failure of the pod that did fail."""
        soon = job(result="FailureTarget", reason="BackoffLimitExceeded")
        other = job_pod("web-2", running(), created=90)
        message = summarize_job(soon, make_failed_pod(), other)[4]

        assert message.endswith("allows; web-1: crashed, exit code 3")
        assert "result" not in status_json(evaluate_job(soon))["job"]

    def test_a_node_evicted_a_pod(self) -> None:
        """With the reason and message of the pod."""
        thrown = evicted_pod("web-1")
        thrown["metadata"]["labels"] = job_pod()["metadata"]["labels"]
        thrown["spec"]["restartPolicy"] = "Never"

        assert ("Degraded", "Evicted") == summarize_job(job(), thrown)[::2][:2]

    def test_a_pod_without_a_reason(self) -> None:
        """Its container statuses were lost."""
        pod = job_pod("web-1", phase="Failed")

        assert (
            "0 of 1 pod ready; web-1: failed; the Job makes another pod"
            == summarize_job(job(), pod)[4]
        )

    def test_a_pod_that_is_being_deleted_does_not_count(self) -> None:
        """A person deletes failed pods."""
        gone = make_failed_pod(deletionTimestamp=builders.iso(0))

        assert "PodsPending" == summarize_job(job(), gone)[2]

    def test_it_is_recreated(self) -> None:
        """Its template has changed."""
        message = "the Job is being deleted and recreated"

        assert ("Progressing", "False", "Recreating", "0/1", message) == summarize_job(
            job(deletionTimestamp=builders.iso(0))
        )

    def test_paused(self) -> None:
        """The state of the Job is still in the message."""
        spec = {**SPEC, "paused": True}

        assert "paused, nothing is changed; there is no Job" == summarize_job(spec=spec)[4]
        assert ("Paused", "True") == summarize_job(job(result="Complete"), spec=spec)[:2]

    def test_an_error_of_a_child(self) -> None:
        """The pod of the Job serves as before."""
        taken = SyncResult(
            errors=(SyncError(SyncErrorReason.NAME_CONFLICT, "there is a Service web"),)
        )

        assert (
            "there is a Service web; 1 pod serves as before"
            == summarize_job(job(), job_pod("web-1", running()), sync_result=taken)[4]
        )


class TestStoredRun:
    """The stored status of a run, which keeps it from running again."""

    DONE: ClassVar[Json] = {
        "job": {"run": RUN_HASH, "succeeded": 1, "failed": 0, "result": "Complete"}
    }

    def test_a_job_that_was_deleted(self) -> None:
        """Its result stays."""
        found = evaluate_job(previous_status=self.DONE)

        assert ("Completed", "True", "Completed", "0/0", "completed") == summarize_job(
            previous_status=self.DONE
        )
        assert self.DONE["job"] == status_json(found)["job"]

    def test_a_job_that_had_failed_and_was_deleted(self) -> None:
        """Its reason stays."""
        over = {
            "job": {
                "run": RUN_HASH,
                "result": "Failed",
                "reason": "DeadlineExceeded",
                "backoffLimit": 6,
            }
        }
        message = "the Job has given up: it ran for longer than activeDeadlineSeconds"

        assert ("Degraded", "False", "DeadlineExceeded", "0/0", message) == summarize_job(
            previous_status=over
        )

    def test_a_job_without_a_result(self) -> None:
        """A Job that was deleted while it ran is created again."""
        assert "Creating" == summarize_job(previous_status={"job": {"run": RUN_HASH}})[2]

    def test_another_run(self) -> None:
        """The stored status of another run is dropped."""
        found = evaluate_job(previous_status=self.DONE, spec={**SPEC, "image": "web:v2"})

        assert found.status.job is None
        assert {"run": None} != found.patch["job"]
        assert found.patch["job"] is None

    def test_an_app_that_becomes_a_deployment(self) -> None:
        """It has no run."""
        assert evaluate_job(previous_status=self.DONE, spec={"image": "web:v1"}).status.job is None

    def test_a_spec_that_cannot_be_read(self) -> None:
        """The stored status stays: the next spec may ask for the same run."""
        found = evaluate_invalid_app(previous_status=self.DONE)

        assert found.status.job is not None

    def test_while_it_is_deleted(self) -> None:
        """It stays Completed."""
        going = job(run_hash=RUN_HASH, result="Complete", deletionTimestamp=builders.iso(0))

        assert "Completed" == summarize_job(going)[0]
        assert "Complete" == evaluate_job(going).status.job.result


class TestRestarts:
    """With Never, a failed pod that is replaced counts as a restart."""

    NEXT = job_pod("web-2", running(since=60), created=50)

    def count_restarts(self, *objects: Json, **more: Any) -> Json:  # noqa: ANN401 - as tell
        """status.restarts."""
        block: Json = status_json(evaluate_job(job(), *objects, **more))["restarts"]
        return block

    def test_it_counts_when_there_is_another_pod(self) -> None:
        """Not before: the Job may give up. A pod that was created earlier does not count."""
        early = job_pod("web-2", running(since=40), created=40)

        assert 0 == self.count_restarts(make_failed_pod(), early)["total"]
        assert 0 == self.count_restarts(make_failed_pod())["total"]
        assert 1 == self.count_restarts(make_failed_pod(), self.NEXT)["total"]

    def test_by_its_reason(self) -> None:
        """With the pod and its reason, and without a restart of an existing pod."""
        block = self.count_restarts(make_failed_pod(), self.NEXT)

        assert (0, {"Error": 1}) == (block["current"], block["byReason"])
        assert {
            "pod": "web-1",
            "container": "app",
            "reason": "Error",
            "exitCode": 3,
            "at": builders.iso(40),
        } == block["last"]

    @pytest.mark.parametrize(
        ("end", "events", "reason"),
        [
            (termination(137, "OOMKilled", finished=40), [], "OOMKilled"),
            (termination(137, finished=40), [probe_kill_event("web-1", 38)], "LivenessProbe"),
            (
                termination(137, finished=40),
                [probe_kill_event("web-1", 38, probe="startup")],
                "StartupProbe",
            ),
        ],
    )
    def test_probes_and_memory(self, end: Json, events: list[Json], reason: str) -> None:
        """As for restarted containers; status.pods has the same reason."""
        found = evaluate_job(job(), make_failed_pod(end=end), self.NEXT, *events)

        assert {reason: 1} == found.status.restarts.by_reason
        assert reason == found.status.pods[-1].reason

    @pytest.mark.parametrize(
        ("probes", "since", "reason"),
        [
            (["liveness"], 0, "LivenessProbe"),
            (["startup"], 0, "StartupProbe"),
            (["startup", "liveness"], 40, "LivenessProbe"),
            (["startup", "liveness"], 0, "StartupProbe"),
            ([], 0, "Error"),
        ],
    )
    def test_a_kill_without_a_reason(self, probes: list[str], since: float, reason: str) -> None:
        """With Never; a pod that was ready had passed its startup probe."""
        end = termination(137, started=10, finished=40)
        pod = make_failed_pod(end=end, probes=probes, since=since)
        found = evaluate_job(job(), pod, self.NEXT, pod_stop_event("web-1", 38))

        assert {reason: 1} == found.status.restarts.by_reason

    @pytest.mark.parametrize(
        "pod",
        [
            make_failed_pod(
                end=termination(137, finished=40),
                probes=["liveness"],
                status={"reason": "Evicted"},
            ),
            job_pod("web-1", running(), probes=["liveness"]),
            job_pod(
                "web-1",
                terminated(termination(1, finished=35), name="first"),
                terminated(termination(137, finished=40)),
                probes=["liveness"],
                phase="Failed",
            ),
        ],
        ids=["evicted", "runs still", "another container ended first"],
    )
    def test_a_kill_without_a_probe(self, pod: Json) -> None:
        """The cause is the node, or the deletion of the pod."""
        found = evaluate_job(job(), pod, self.NEXT, pod_stop_event("web-1", 38))

        assert "LivenessProbe" not in found.status.restarts.by_reason

    def test_never_twice(self) -> None:
        """However often it is counted, and if the Event comes late."""
        end = termination(137, finished=40)
        first = status_json(evaluate_job(job(), make_failed_pod(end=end), self.NEXT))
        again = evaluate_job(job(), make_failed_pod(end=end), self.NEXT, previous_status=first)
        late = evaluate_job(
            job(),
            make_failed_pod(end=end),
            self.NEXT,
            probe_kill_event("web-1", 38),
            previous_status=first,
        )
        gone = evaluate_job(job(), self.NEXT, previous_status=first)

        assert ({}, ()) == (again.patch.get("restarts", {}), again.new_restarts)
        assert {"LivenessProbe": 1} == late.status.restarts.by_reason
        assert "LivenessProbe" == late.status.restarts.last.reason
        assert 1 == gone.status.restarts.total

    def test_one_after_the_other(self) -> None:
        """Each failed pod counts once; the last one is not replaced."""
        second = make_failed_pod("web-2", termination(3, started=55, finished=70), created=50)
        block = self.count_restarts(make_failed_pod(), second)

        assert {"Error": 1} == block["byReason"]
        assert [("web-1", 1)] == [(e["pod"], e["count"]) for e in block["counted"]]

    def test_the_event(self) -> None:
        """It says that the pod was replaced."""
        events = evaluate_job(job(), make_failed_pod(), self.NEXT).events
        replaced = next(event for event in events if event.reason == "PodReplaced")

        assert "Warning" == replaced.type
        assert (
            "container app of pod web-1 failed, another pod was made: Error, exit code 3"
            == replaced.message
        )

    def test_the_container_that_ended_first(self) -> None:
        """The other containers are stopped because of it."""
        pod = job_pod(
            "web-1",
            terminated(termination(137, finished=45), name="beside"),
            terminated(termination(3, finished=40)),
            terminated(termination(0, finished=30), name="helper"),
            phase="Failed",
        )

        assert "app" == self.count_restarts(pod, self.NEXT)["last"]["container"]

    @pytest.mark.parametrize(
        "pod",
        [
            make_failed_pod(status={"reason": "Evicted"}),
            make_failed_pod(deletionTimestamp=builders.iso(0)),
            make_failed_pod(policy="Always"),
            job_pod("web-1", terminated(termination(0, finished=40)), phase="Failed"),
            make_succeeded_pod(),
        ],
        ids=["evicted", "deleted", "of a Deployment", "no bad end", "succeeded"],
    )
    def test_what_is_no_restart(self, pod: Json) -> None:
        """Failures that are not a fault of the app."""
        assert 0 == self.count_restarts(pod, self.NEXT)["total"]

    def test_a_pod_of_another_job(self) -> None:
        """A new run is not a replacement."""
        other = job_pod("web-2", running(since=60), created=50, job_uid="another")
        undated = job_pod("web-3", running(since=60), created=None)

        assert 0 == self.count_restarts(make_failed_pod(), other, undated)["total"]
