"""Whose fault it is, in situations that an engineer on call meets: raw objects, the whole core.

The good version is abc and v1, the new one def and v2. Unless a test says otherwise, the good pods
serve, and the new one differs in its image only.
"""

from typing import Final

import pytest

from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from tests.unit.builders import (
    crash_loop,
    evicted_pod,
    pod,
    running,
    terminated,
    termination,
    unschedulable_condition,
    waiting,
)
from tests.unit.health.situations import (
    NOW,
    RESOLVE,
    STALLED,
    Json,
    blames_version,
    build_template,
    crashing,
    diagnose,
    good_pods,
    judge,
    unready,
    waiting_pod,
)

SHIM: Final = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: error during container init: "
)


class TestImages:
    """An image that cannot be pulled, while the good version serves."""

    @pytest.mark.parametrize(
        "text",
        [
            f"{RESOLVE}429 Too Many Requests - toomanyrequests: pull rate limit",
            f"{RESOLVE}dial tcp: lookup registry on 10.96.0.10:53: no such host",
            f"{RESOLVE}tls: failed to verify certificate: x509: certificate has expired",
            f"{RESOLVE}401 Unauthorized",
            f"{RESOLVE}403 Forbidden",
            f"{RESOLVE}dial tcp 192.0.2.7:443: i/o timeout",
            f"{RESOLVE}unexpected status from HEAD request: 503 Service Unavailable",
            "failed to copy: write /var/lib/containerd/ingest/data: no space left on device",
            'failed to extract layer sha256:12: content digest "sha256:12": not found',
        ],
        ids=["429", "dns", "x509", "401", "403", "timeout", "503", "disk full", "broken layer"],
    )
    def test_the_registry_or_the_node(self, text: str) -> None:
        """No version is at fault, although the image is a new one."""
        for probation in ({}, {"good": None}):
            assert [
                (DiagnosisType.IMAGE_PULL_FAILING, Cause.ENVIRONMENT, Confidence.HIGH)
            ] == judge(*good_pods(), waiting_pod("web-def-1", "ErrImagePull", text), **probation)

    @pytest.mark.parametrize(
        ("reason", "text"),
        [
            ("ErrImagePull", f"rpc error: code = NotFound desc = {RESOLVE}acme/web:v2: not found"),
            (
                "ImagePullBackOff",
                f'Back-off pulling image "web:v2": ErrImagePull: {RESOLVE}not found',
            ),
            ("ErrImagePull", f"{RESOLVE}manifest unknown: manifest unknown"),
            ("ErrImagePull", f"{RESOLVE}no match for platform in manifest: not found"),
            ("InvalidImageName", 'couldn\'t parse image name "Web": invalid reference format'),
        ],
    )
    def test_an_image_that_does_not_exist(self, reason: str, text: str) -> None:
        """The version is at fault for certain."""
        (found,) = diagnose(*good_pods(), waiting_pod("web-def-1", reason, text))

        assert (Cause.NEW_VERSION, Confidence.HIGH) == (found.cause, found.confidence)
        assert (
            "0 of 2 pods of the earlier version have it, too; "
            "differs in: image of app: web:v1 -> web:v2"
        ) == found.comparison

    def test_an_image_that_is_the_same_in_both(self) -> None:
        """It was deleted from the registry."""
        gone = waiting_pod("web-def-1", "ErrImagePull", f"{RESOLVE}not found")

        assert not blames_version(judge(*good_pods(), gone, new=build_template(args=["-v"])))

    def test_the_image_of_a_new_sidecar(self) -> None:
        """The container that cannot be pulled is what counts."""
        new = build_template(sidecars=[{"name": "proxy", "image": "proxy:v9"}])
        gone = waiting_pod("web-def-1", "ErrImagePull", f"{RESOLVE}not found", "proxy")

        assert [(DiagnosisType.IMAGE_PULL_FAILING, Cause.NEW_VERSION, Confidence.HIGH)] == judge(
            *good_pods(), gone, new=new
        )
        assert not blames_version(judge(*good_pods(), gone))

    def test_nothing_is_said(self) -> None:
        """After its start a kubelet reports the back-off only: nothing is known."""
        quiet = waiting_pod("web-def-1", "ImagePullBackOff", 'Back-off pulling image "web:v2"')

        assert [(DiagnosisType.IMAGE_PULL_FAILING, Cause.ENVIRONMENT, Confidence.LOW)] == judge(
            *good_pods(), quiet
        )


class TestStarts:
    """A container that is not created or not started."""

    @pytest.mark.parametrize(
        "text",
        [
            f'{SHIM}exec: "web-server": executable file not found in $PATH: unknown',
            f'{SHIM}exec: "/opt/timeout": stat /opt/timeout: no such file or directory: unknown',
            f'{SHIM}exec: "/run.sh": permission denied: unknown',
            f"{SHIM}exec /web: exec format error",
            f'{SHIM}chdir to cwd ("/srv") set in config.json failed: no such file or directory',
        ],
    )
    def test_a_wrong_command(self, text: str) -> None:
        """For certain, if the container differs; else the image behind its tag is another one."""
        stuck = waiting_pod("web-def-1", "RunContainerError", text)
        other = build_template(sidecars=[{"name": "proxy", "image": "p"}])

        assert [(DiagnosisType.START_FAILING, Cause.NEW_VERSION, Confidence.HIGH)] == judge(
            *good_pods(), stuck, new=build_template(command=["web-server"])
        )
        assert not blames_version(judge(*good_pods(), stuck, new=other))

    @pytest.mark.parametrize(
        "text",
        [
            'failed to setup network for sandbox "12": plugin type="calico" failed (add)',
            "cannot allocate memory",
            'failed to reserve container name "app_web_1": name "app_web_1" is reserved for "12"',
            "failed to create shim task: context deadline exceeded",
        ],
        ids=["cni", "memory of the node", "containerd", "runtime"],
    )
    def test_the_node(self, text: str) -> None:
        """A disk, a network plugin or a runtime is no version's."""
        stuck = waiting_pod("web-def-1", "CreateContainerError", text)

        assert [(DiagnosisType.CONFIG_ERROR, Cause.ENVIRONMENT, Confidence.HIGH)] == judge(
            *good_pods(), stuck
        )

    @pytest.mark.parametrize(
        ("text", "reference"),
        [
            ("couldn't find key url in ConfigMap shop/settings", "configMapKeyRef"),
            ('configmap "settings" not found', "configMapKeyRef"),
            ("couldn't find key url in Secret shop/settings", "secretKeyRef"),
            ('secret "settings" not found', "secretKeyRef"),
        ],
    )
    def test_a_key_that_is_missing(self, text: str, reference: str) -> None:
        """It is the version only if the version introduced it."""
        source = {reference: {"name": "settings", "key": "url"}}
        env = [{"name": "URL", "valueFrom": source}]
        stuck = waiting_pod("web-def-1", "CreateContainerConfigError", text)
        introduced = judge(*good_pods(), stuck, new=build_template(env=env))
        (pruned,) = diagnose(
            *good_pods(), stuck, good=build_template(env=env), new=build_template("v2", env=env)
        )

        first = judge(stuck, good=None, new=build_template(env=env))

        assert [(DiagnosisType.CONFIG_ERROR, Cause.NEW_VERSION, Confidence.LOW)] == first
        assert [(DiagnosisType.CONFIG_ERROR, Cause.NEW_VERSION, Confidence.HIGH)] == introduced
        assert (Cause.ENVIRONMENT, Confidence.HIGH) == (pruned.cause, pruned.confidence)
        assert pruned.comparison.endswith("is missing, and the earlier version reads it, too")

    def test_a_key_of_an_object_that_the_good_version_reads(self) -> None:
        """The key is what the version introduced."""
        good = build_template(envFrom=[{"configMapRef": {"name": "settings"}}])
        key = {"configMapKeyRef": {"name": "settings", "key": "url"}}
        new = build_template(env=[{"name": "URL", "valueFrom": key}])
        text = "couldn't find key url in ConfigMap shop/settings"
        stuck = waiting_pod("web-def-1", "CreateContainerConfigError", text)

        assert blames_version(judge(*good_pods(), stuck, good=good, new=new))


class TestCrashes:
    """A container that crashes."""

    def test_of_the_new_version_only(self) -> None:
        """By comparison: likely, and not certain."""
        assert [(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION, Confidence.MEDIUM)] == judge(
            *good_pods(), crashing("web-def-1")
        )

    def test_an_injected_proxy(self) -> None:
        """A container of no template is nobody's change."""
        (found,) = diagnose(*good_pods(), crashing("web-def-1", "istio-proxy"))

        assert (Cause.ENVIRONMENT, Confidence.MEDIUM) == (found.cause, found.confidence)
        assert "istio-proxy is not in the spec" in found.comparison

    def test_a_container_that_did_not_change(self) -> None:
        """What changed is the sidecar."""
        proxies = [[{"name": "proxy", "image": image}] for image in ("p:1", "p:2")]
        good, new = (build_template(sidecars=each) for each in proxies)

        assert not blames_version(judge(*good_pods(), crashing("web-def-1"), good=good, new=new))
        assert blames_version(
            judge(*good_pods(), crashing("web-def-1", "proxy"), good=good, new=new)
        )

    @pytest.mark.parametrize(
        ("old_ill", "old_well", "new_ill", "new_well", "blamed"),
        [
            (0, 2, 1, 0, True),
            (1, 2, 2, 0, True),
            (1, 1, 2, 0, True),
            (2, 1, 2, 0, False),
            (1, 0, 1, 0, False),
            (2, 0, 2, 0, False),
            (0, 2, 4, 1, True),
            (0, 2, 1, 1, True),
            (0, 2, 1, 2, False),
            (1, 2, 2, 1, True),
        ],
        ids=[
            "only the new one",
            "one unlucky old pod of three",
            "one unlucky old pod of two",
            "most of the old ones",
            "the only old one",
            "all",
            "one lucky new pod of five",
            "half of the new ones",
            "less than half of them",
            "some of both",
        ],
    )
    def test_rates_are_compared(
        self,
        old_ill: int,
        old_well: int,
        new_ill: int,
        new_well: int,
        blamed: bool,  # noqa: FBT001 - a table's column
    ) -> None:
        """One pod neither acquits a version nor convicts it."""
        pods = [
            *(crashing(f"web-abc-{n}") for n in range(old_ill)),
            *(pod(f"web-abc-{n + 10}", running()) for n in range(old_well)),
            *(crashing(f"web-def-{n}") for n in range(new_ill)),
            *(pod(f"web-def-{n + 10}", running()) for n in range(new_well)),
        ]

        assert blamed is blames_version(judge(*pods))

    def test_another_bad_version_in_between(self) -> None:
        """Its pods are no control group: those of the good version serve."""
        second = [crashing(f"web-xyz-{n}") for n in range(3)]

        assert blames_version(judge(*good_pods(1), *second, crashing("web-def-1")))

    def test_another_configuration_in_between(self) -> None:
        """That a pod of it serves accuses nobody: those of the good version crash as well."""
        old = [crashing(f"web-abc-{n}") for n in range(2)]
        between = pod("web-xyz-1", running(), created=300)

        assert not blames_version(judge(between, *old, crashing("web-def-1", created=100)))

    def test_the_database_goes_during_a_migration(self) -> None:
        """The init container of v2 crashes, and v1 is not ready since the same time."""
        new = build_template("web:v2", initContainers=[{"name": "migrate", "image": "web:v2"}])
        migrating = pod(
            "web-def-1",
            waiting("PodInitializing"),
            init=[crash_loop(4, termination(), name="migrate")],
            created=310,
        )

        assert [(DiagnosisType.CRASH_LOOPING, Cause.ENVIRONMENT, Confidence.MEDIUM)] == judge(
            unready("web-abc-1", 900), unready("web-abc-2", 910), migrating, new=new
        )
        assert blames_version(judge(*good_pods(), migrating, new=new))

    def test_the_good_version_was_ill_before(self) -> None:
        """The repair does not help either; what is wrong is unknown."""
        chronic = unready("web-abc-1", 100)
        repair = crashing("web-def-1", created=600)

        verdicts = judge(chronic, repair)

        assert (DiagnosisType.CRASH_LOOPING, Cause.UNKNOWN, Confidence.LOW) in verdicts

    def test_a_changed_configuration(self) -> None:
        """Only the containers that read it may fail by it."""
        env_from = [{"configMapRef": {"name": "settings"}}]
        good, new = (build_template(config_hash=each, envFrom=env_from) for each in ("1", "2"))

        assert [(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION, Confidence.MEDIUM)] == judge(
            *good_pods(), crashing("web-def-1"), good=good, new=new
        )
        assert not blames_version(
            judge(*good_pods(), crashing("web-def-1", "proxy"), good=good, new=new)
        )

    def test_the_first_version(self) -> None:
        """There is nothing to go back to, or to compare with: only its content is a proof."""
        assert [(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION, Confidence.LOW)] == judge(
            crashing("web-def-1"), crashing("web-def-2"), good=None
        )
        assert [(DiagnosisType.IMAGE_PULL_FAILING, Cause.NEW_VERSION, Confidence.HIGH)] == judge(
            waiting_pod("web-def-1", "ErrImagePull", f"{RESOLVE}not found"), good=None
        )
        assert not blames_version(
            judge(crashing("web-def-1"), pod("web-def-2", running()), good=None)
        )

    def test_half_of_a_first_version(self) -> None:
        """Its own fault is as likely as one of the pods: no pod is blamed with confidence."""
        half = [crashing(f"web-def-{n}") for n in (1, 2)]
        others = [pod(f"web-def-{n}", running()) for n in (3, 4)]

        assert [(DiagnosisType.CRASH_LOOPING, Cause.POD, Confidence.LOW)] == judge(
            *half, *others, good=None
        )

    def test_the_only_pod_of_the_good_version_is_ill(self) -> None:
        """It may have a fault of its own: that both depend on something is not certain."""
        assert [(DiagnosisType.CRASH_LOOPING, Cause.ENVIRONMENT, Confidence.LOW)] == judge(
            crashing("web-abc-1"), crashing("web-def-1")
        )

    def test_every_pod_crashes_after_a_long_run(self) -> None:
        """They found what they depend on when they started, and no good pod is left."""
        ran = termination(started=500, finished=890)
        pods = [pod(f"web-def-{n}", running(891, restarts=3, last=ran)) for n in (1, 2)]

        assert [(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION, Confidence.MEDIUM)] == judge(*pods)

    def test_every_pod_crashes_after_a_long_start(self) -> None:
        """None was ready: it may wait for what it depends on, and give up."""
        waited = termination(started=500, finished=890)
        pods = [
            pod(f"web-def-{n}", running(891, ready=False, restarts=3, last=waited), since=5)
            for n in (1, 2)
        ]

        assert [(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION, Confidence.LOW)] == judge(*pods)

    def test_the_database_goes_while_a_version_is_rolled_out(self) -> None:
        """The pods that were ready stopped together; the new one was never ready."""
        starting = pod("web-def-1", running(500, ready=False), since=500)

        assert [(DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT, Confidence.HIGH)] == judge(
            unready("web-abc-1"), unready("web-abc-2"), starting
        )
        assert DiagnosisType.DEPENDENCY_DOWN not in {
            verdict[0]
            for verdict in judge(unready("web-abc-1"), unready("web-abc-2"), crashing("web-def-1"))
        }


class TestOwnStorageLimits:
    """Pods that are evicted because they use more storage than they may."""

    VOLUME: Final = 'Usage of EmptyDir volume "cache" exceeds the limit "4Mi". '
    CONTAINER: Final = 'Container app exceeded its local ephemeral storage limit "4Mi". '

    @staticmethod
    def evicted(message: str, template: str = "def") -> list[Json]:
        """Two pods that were evicted a moment ago."""
        return [evicted_pod(f"web-{template}-{n}", created=900, message=message) for n in (1, 2)]

    def test_a_volume_that_the_version_brought(self) -> None:
        """The version is at fault for certain; the rollout stalls because of it."""
        volumes = [{"name": "cache", "emptyDir": {"sizeLimit": "4Mi"}}]
        verdicts = judge(
            *self.evicted(self.VOLUME), new=build_template(volumes=volumes), conditions=[STALLED]
        )

        assert {(Cause.NEW_VERSION, Confidence.HIGH)} == {verdict[1:] for verdict in verdicts}

    def test_a_volume_of_a_young_version(self) -> None:
        """It took longer to fill it than to be proved: it is at fault all the same."""
        volumes = [{"name": "cache", "emptyDir": {"sizeLimit": "4Mi"}}]
        situation = {"new": build_template(volumes=volumes), "proved": True}
        evicted = self.evicted(self.VOLUME)

        assert [(DiagnosisType.PODS_FAILED, Cause.NEW_VERSION, Confidence.HIGH)] == judge(
            *evicted, young=True, **situation
        )
        assert not blames_version(judge(*evicted, **situation))

    def test_a_container_that_differs(self) -> None:
        """It may be the version that writes more, if the good version's pods serve beside it."""
        evicted = self.evicted(self.CONTAINER)

        assert [(DiagnosisType.PODS_FAILED, Cause.NEW_VERSION, Confidence.MEDIUM)] == judge(
            *good_pods(), *evicted
        )
        assert not blames_version(judge(*evicted))

    def test_what_no_version_is_blamed_for(self) -> None:
        """Pods of both are evicted, the container is the same, or the version is proved."""
        evicted = self.evicted(self.CONTAINER)
        sidecar = build_template(sidecars=[{"name": "proxy", "image": "proxy:v2"}])

        assert not blames_version(
            judge(*good_pods(), *evicted, *self.evicted(self.CONTAINER, "abc"))
        )
        assert not blames_version(judge(*good_pods(), *evicted, new=sidecar))
        assert not blames_version(judge(*good_pods(), *evicted, proved=True))


class TestHealthyThings:
    """What looks like a fault, and is none."""

    def test_an_init_container_that_was_retried(self) -> None:
        """It has completed, and the pods are ready."""
        retried = terminated(
            termination(0), name="wait", ready=True, restarts=3, last=termination(1)
        )
        pods = [pod(f"web-def-{n}", running(500), init=[retried]) for n in range(2)]

        assert not blames_version(judge(*good_pods(), *pods))

    def test_pods_that_start_when_an_autoscaler_scales(self) -> None:
        """Neither version has a diagnosis."""
        starting = pod("web-def-2", waiting("ContainerCreating"), created=NOW - 5)

        assert [] == judge(*good_pods(), pod("web-def-1", running()), starting)

    def test_a_node_that_restarts(self) -> None:
        """Its pods are not ready, and have lost their sandbox."""
        text = 'Failed to create pod sandbox: rpc error: code = Unknown desc = plugin "cni" failed'
        pods = [waiting_pod(f"web-def-{n}", "CreateContainerError", text) for n in range(2)]

        assert not blames_version(judge(*good_pods(), *pods))


class TestProvedVersions:
    """A version that was healthy for long enough is not to blame."""

    @pytest.mark.parametrize("count", [1, 3])
    def test_all_pods_fail(self, count: int) -> None:
        """Something that they depend on is down: nothing is replaced, even if it is one pod."""
        for build in (crashing, unready):
            assert [(DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT)] == [
                (kind, cause)
                for kind, cause, _ in judge(
                    *(build(f"web-def-{n}") for n in range(count)), proved=True
                )
            ]

    def test_all_pods_crash_after_long_runs(self) -> None:
        """What they depend on was there when they started."""
        ran = termination(started=500, finished=890)
        pods = [pod(f"web-def-{n}", running(891, restarts=3, last=ran)) for n in (1, 2)]

        assert [(DiagnosisType.CRASH_LOOPING, Cause.UNKNOWN, Confidence.LOW)] == judge(
            *pods, proved=True
        )

    def test_some_fail_and_others_crash(self) -> None:
        """It is one outage, and names all pods."""
        (found,) = diagnose(crashing("web-def-1"), unready("web-def-2"), proved=True)

        assert (DiagnosisType.DEPENDENCY_DOWN, 2) == (found.type, len(found.pods))

    def test_a_version_that_is_being_replaced(self) -> None:
        """After a rollback its pods still crash, and those of the proved one do not exist yet."""
        assert DiagnosisType.DEPENDENCY_DOWN not in {
            verdict[0] for verdict in judge(crashing("web-xyz-1"), proved=True)
        }

    def test_a_pod_of_a_failed_version_that_no_node_takes(self) -> None:
        """It is replaced: what keeps it says nothing of the version that runs."""
        pending = pod(
            "web-xyz-1",
            phase="Pending",
            node="",
            conditions=[unschedulable_condition("0/2 nodes are available: 2 Insufficient cpu.")],
        )

        assert [(DiagnosisType.UNSCHEDULABLE, Cause.UNKNOWN, Confidence.LOW)] == judge(
            pod("web-def-1", running()), pending, proved=True
        )

    def test_one_pod_fails(self) -> None:
        """Another pod shows that it can be healthy."""
        assert [(DiagnosisType.CRASH_LOOPING, Cause.POD, Confidence.MEDIUM)] == judge(
            crashing("web-def-1"), pod("web-def-2", running()), proved=True
        )
