"""Rows 1 to 3 and 17: an image, a command or a variable with which the app cannot run."""

from typing import Final

from hack.scenarios.exam import surroundings
from hack.scenarios.exam.edits import edit_container, update
from hack.scenarios.exam.environment import PROGRESS_DEADLINE
from hack.scenarios.exam.fault import (
    CERTAIN,
    CRASH_TIME,
    HANG_TIME,
    LIKELY,
    RECREATE,
    Fault,
    Way,
    corrected,
    rolled_back,
    stripped,
    told,
)
from hack.testkit import stub_registry

DELAYED_CRASH: Final = (
    "import os, runpy, threading\n"
    "timer = threading.Timer(10, os._exit, [1])\n"
    "timer.daemon = True\n"
    "timer.start()\n"
    "runpy.run_module('app', run_name='__main__', alter_sys=True)\n"
)
"""The demo app, which exits with 1 after ten seconds."""

_BAD_VARIABLE: Final = [{"name": "PORT", "value": "abc"}]
_BAD_PORT: Final = [{"name": "PORT", "value": "5999"}]
_NO_COMMAND: Final = ["/no/such/program"]


VERSION_FAULTS: Final = (
    Fault(
        number=1,
        way=Way.SPEC,
        title="An image whose tag does not exist",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.MISSING),
        expected=rolled_back("ImagePullFailing"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
        is_drill=True,
    ),
    Fault(
        number=1,
        way=Way.SPEC,
        variant="platform",
        title="An image for another architecture",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.FOREIGN_PLATFORM),
        expected=rolled_back("ImagePullFailing"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
    ),
    Fault(
        number=1,
        way=Way.SPEC,
        variant="limit",
        title="A registry that answers 429 to the pull of a new version",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.LIMITED),
        expected=told("ImagePullFailing"),
        healing_seconds=LIKELY,
        cluster_seconds=20,
    ),
    Fault(
        number=1,
        way=Way.SPEC,
        variant="secret",
        title="A registry that answers 401: the pull secret is gone",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.PRIVATE),
        expected=told("ImagePullFailing"),
        healing_seconds=LIKELY,
        cluster_seconds=20,
    ),
    Fault(
        number=1,
        way=Way.CHILD,
        title="kubectl set image to a tag that does not exist",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.MISSING, by_hand=True),
        expected=corrected(),
        healing_seconds=0,
        cluster_seconds=15,
    ),
    Fault(
        number=2,
        way=Way.SPEC,
        title="A command that the image does not have",
        inject=update(command=_NO_COMMAND),
        expected=rolled_back("StartFailing"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
    ),
    Fault(
        number=2,
        way=Way.CHILD,
        title="A wrong command, written into the Deployment",
        inject=edit_container(command=_NO_COMMAND),
        expected=stripped("StartFailing"),
        healing_seconds=CERTAIN,
        cluster_seconds=20,
    ),
    Fault(
        number=3,
        way=Way.SPEC,
        title="A variable with which the app ends at once",
        inject=update(env=_BAD_VARIABLE),
        expected=rolled_back("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=3,
        way=Way.CHILD,
        title="kubectl set env with a variable with which the app ends at once",
        inject=edit_container(env=_BAD_VARIABLE),
        expected=stripped("CrashLooping", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=CRASH_TIME,
    ),
    Fault(
        number=3,
        way=Way.SPEC,
        variant="hang",
        title="A variable with which the app listens on another port and is never ready",
        inject=update(env=_BAD_PORT),
        expected=rolled_back("NotReadyTooLong", "LivenessKilled", "RolloutStalled"),
        healing_seconds=LIKELY,
        cluster_seconds=HANG_TIME,
    ),
    Fault(
        number=3,
        way=Way.SPEC,
        variant="recreate",
        title="A version that crashes, with the strategy Recreate: no old pod is left",
        inject=update(command=["python", "-c", "raise SystemExit('no database')"]),
        expected=rolled_back("CrashLooping", "RolloutStalled", is_served=False),
        healing_seconds=0,
        cluster_seconds=CRASH_TIME,
        spec=RECREATE,
        is_drill=True,
    ),
    Fault(
        number=3,
        way=Way.SPEC,
        variant="late",
        title="A version that is Ready, replaces the old one, and crashes after ten seconds",
        inject=update(command=["python", "-c", DELAYED_CRASH]),
        expected=rolled_back("CrashLooping", is_served=False),
        healing_seconds=0,
        cluster_seconds=130,
        is_drill=True,
    ),
    Fault(
        number=17,
        way=Way.SPEC,
        title="An image that does not exist, with maxUnavailable 100 %",
        prepare=surroundings.start_registry,
        inject=surroundings.ask_for_image(stub_registry.MISSING),
        expected=rolled_back("ImagePullFailing", is_served=False),
        healing_seconds=CERTAIN,
        cluster_seconds=30,
        spec={
            "rollout": {
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0},
                },
                "progressDeadlineSeconds": PROGRESS_DEADLINE,
            }
        },
    ),
)
"""The rows of this module."""
