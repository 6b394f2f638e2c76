"""Rows 4 to 10: resources, probes and further containers with which the app cannot run."""

from typing import Final

from hack.scenarios.exam import fault_injectors
from hack.scenarios.exam.edits import CRASHING, DEMO_IMAGE, edit_container, edit_pods, update
from hack.scenarios.exam.fault import (
    CERTAIN,
    CRASH_TIME,
    HANG_TIME,
    LIKELY,
    Expected,
    Fault,
    Json,
    Way,
    corrected,
    rolled_back,
    stripped,
    told,
)

_NO_PROBE: Final[Json] = {"httpGet": {"path": "/no-such-path"}, "periodSeconds": 2}
_WAITING_INIT: Final = {
    **DEMO_IMAGE,
    "name": "wait",
    "command": ["python", "-c", "import time; print('waiting for db'); time.sleep(3600)"],
}
_RETRYING_INIT: Final = (
    "import pathlib\n"
    "tries = pathlib.Path('/tries')\n"
    "log = tries / 'log'\n"
    "count = len(log.read_text()) if log.exists() else 0\n"
    "log.write_text('x' * (count + 1))\n"
    "raise SystemExit(0 if count >= 2 else 'no db yet')\n"
)


def _probes(**probes: Json) -> Json:
    """Return the probes of the app with others in their place."""
    return {
        "liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5},
        "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
        **probes,
    }


CONTAINER_FAULTS: Final = (
    Fault(
        number=4,
        way=Way.SPEC,
        title="A memory limit below what the app takes to start",
        inject=update(
            resources={"requests": {"cpu": "20m", "memory": "12Mi"}, "limits": {"memory": "12Mi"}}
        ),
        expected=rolled_back(
            "OOMKilled",
            "CrashLooping",
            "StartFailing",
            "ConfigError",
            "RolloutStalled",
            remediations=("RaiseMemory", "Rollback"),
        ),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=4,
        way=Way.CHILD,
        title="kubectl set resources with a memory limit that is too low",
        inject=edit_container(
            resources={"requests": {"memory": "12Mi"}, "limits": {"memory": "12Mi"}}
        ),
        expected=stripped(
            "OOMKilled", "CrashLooping", "StartFailing", "ConfigError", "RolloutStalled"
        ),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=4,
        way=Way.CLUSTER,
        variant="leak",
        title="An app that needs more memory than it may have",
        inject=fault_injectors.leak_memory,
        inject_repeatedly=fault_injectors.leak_memory,
        expected=Expected(
            ("OOMKilled", "MemoryClimbing"),
            ("Unknown", "Pod", "Environment"),
            remediations=("RaiseMemory",),
            needs_action=True,
            is_served=False,
        ),
        healing_seconds=CERTAIN,
        cluster_seconds=110,
        spec={"resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "128Mi"}}},
        healing={"memory": {"max": "256Mi"}},
        is_drill=True,
    ),
    Fault(
        number=5,
        way=Way.SPEC,
        title="A CPU limit with which the app does not start in time",
        inject=update(
            resources={"requests": {"cpu": "5m", "memory": "24Mi"}, "limits": {"cpu": "10m"}}
        ),
        expected=rolled_back("LivenessKilled", "NotReadyTooLong", "CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=5,
        way=Way.CHILD,
        title="kubectl set resources with a CPU limit that is too low",
        inject=edit_container(resources={"limits": {"cpu": "10m"}}),
        expected=stripped("LivenessKilled", "NotReadyTooLong", "CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
        # A request may not be above the limit. With 20m the app starts just in time.
        spec={"resources": {"requests": {"cpu": "5m", "memory": "24Mi"}}},
    ),
    Fault(
        number=6,
        way=Way.SPEC,
        title="A liveness probe with a wrong path",
        inject=update(probes=_probes(liveness=_NO_PROBE)),
        expected=rolled_back("LivenessKilled", "CrashLooping", is_served=False),
        healing_seconds=0,
        cluster_seconds=90,
    ),
    Fault(
        number=6,
        way=Way.CHILD,
        title="A startup probe with a wrong path, written into the Deployment",
        inject=edit_container(
            startupProbe={
                "httpGet": {"path": "/no-such-path", "port": 5000},
                "periodSeconds": 2,
                "failureThreshold": 2,
            }
        ),
        expected=stripped("LivenessKilled", "CrashLooping", "StartFailing", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=7,
        way=Way.SPEC,
        title="A readiness probe with a wrong path",
        inject=update(probes=_probes(readiness=_NO_PROBE)),
        expected=rolled_back("NotReadyTooLong", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=7,
        way=Way.CHILD,
        title="The path of the readiness probe, changed in the Deployment",
        inject=edit_container(readinessProbe={"httpGet": {"path": "/no-such-path", "port": 5000}}),
        expected=corrected(),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=8,
        way=Way.CLUSTER,
        title="The readiness of a pod goes to and fro",
        inject=fault_injectors.make_one_pod_unready,
        inject_repeatedly=fault_injectors.flap_readiness,
        expected=told("ReadinessFlapping", causes=("Pod", "Unknown", "Environment")),
        healing_seconds=60,
        cluster_seconds=60,
    ),
    Fault(
        number=9,
        way=Way.SPEC,
        title="An init container that crashes",
        inject=update(initContainers=[{**CRASHING, "name": "wait"}]),
        expected=rolled_back("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=9,
        way=Way.CHILD,
        title="An init container that crashes, added to the Deployment",
        inject=edit_pods(initContainers=[{**CRASHING, "name": "wait"}]),
        expected=stripped("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=9,
        way=Way.SPEC,
        variant="hang",
        title="An init container that waits for ever",
        inject=update(initContainers=[_WAITING_INIT]),
        expected=rolled_back("NotReadyTooLong", "StartFailing", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=9,
        way=Way.SPEC,
        variant="retry",
        title="An init container that fails twice in each pod, and then succeeds: no fault",
        inject=update(
            env=[{"name": "MESSAGE", "value": "v2"}],
            volumes=[{"name": "tries", "emptyDir": {}}],
            initContainers=[
                {
                    **DEMO_IMAGE,
                    "name": "wait",
                    "command": ["python", "-c", _RETRYING_INIT],
                    "volumeMounts": [{"name": "tries", "mountPath": "/tries"}],
                }
            ],
            rollout={"progressDeadlineSeconds": 1200, "strategy": {"type": "RollingUpdate"}},
        ),
        expected=Expected(recovers_unhealed=True),
        healing_seconds=0,
        cluster_seconds=140,
    ),
    Fault(
        number=10,
        way=Way.SPEC,
        title="A sidecar that crashes",
        inject=update(sidecars=[{**CRASHING, "name": "proxy"}]),
        expected=rolled_back("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=10,
        way=Way.CHILD,
        title="A sidecar that crashes, added to the Deployment",
        inject=edit_pods(containers=[{**CRASHING, "name": "proxy"}]),
        expected=stripped("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=10,
        way=Way.SPEC,
        variant="port",
        title="A sidecar that takes the port of the app",
        inject=update(sidecars=[{**DEMO_IMAGE, "name": "proxy"}]),
        expected=rolled_back("CrashLooping", "RolloutStalled", "NotReadyTooLong"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
)
"""The rows of this module."""
