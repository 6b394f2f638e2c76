"""Which tests stay on one worker, and in which order they begin.

A unit is a module, unless it is named here. Tests with real containers are a few chains: two apps
that use the metrics pipeline, or two tests that cordon a node, would see each other, and a machine
of two cores does not carry more containers at once. `make test` ends with the time of each unit.
"""

import re
import zlib
from collections.abc import Mapping

CHAINS: Mapping[str, tuple[str, ...]] = {
    "e2e: lab": (
        "e2e/lab",
        "e2e/deployed",
        "e2e/guide[hpa]",
        "e2e/guide[scaling]",
        "e2e/guide[startup-probe]",
        "e2e/guide[deploy]",
    ),
    "e2e: metrics": (
        "e2e/metrics_stack",
        "e2e/vpa",
        "e2e/contour",
        "e2e/network_policy",
        "e2e/guide[custom-metrics]",
        "e2e/guide[vpa]",
        "e2e/vertical",
    ),
    "e2e: restarts": ("e2e/restarts", "e2e/jobs", "e2e/examples", "e2e/panel", "e2e/chart"),
    "e2e: exam": ("e2e/exam", "e2e/mistakes"),
    "e2e: nodes": ("e2e/disruption", "e2e/load", "e2e/adoption", "e2e/guide"),
    "e2e: healing pages": (
        "e2e/guide[rollback]",
        "e2e/guide[hung-pod]",
        "e2e/guide[memory]",
        "e2e/guide[approval]",
        "e2e/guide[quarantine]",
    ),
}
"""Modules, or single pages of the lab, that run one after the other in this order."""

LAST = ("e2e/alone", "e2e/node_failure", "e2e/guide[node-failure]")
"""What takes the cluster away from all others, in this order."""

SPLIT: Mapping[str, int] = {
    "integration/crd_accepts": 3,
    "e2e/healing": 2,
}
"""Modules whose tests share no fixture that is dear, and into how many units they are cut."""

SECONDS: Mapping[str, float] = {
    "e2e: lab": 500,
    "e2e: metrics": 490,
    "e2e/healing": 260,
    "e2e: restarts": 425,
    "e2e: exam": 500,
    "e2e: nodes": 510,
    "e2e: healing pages": 300,
    "integration/crd_accepts": 110,
    "integration/healing": 160,
    "integration/clock": 50,
    "integration/sieve": 110,
    "integration/operator_rights": 60,
    "integration/crash": 100,
    "integration/healing_outages": 90,
    "integration/drift": 80,
    "integration/operator_chaos": 80,
    "integration/jobs": 95,
    "integration/outages": 110,
    "integration/vpa": 70,
    "integration/access": 60,
    "integration/access_missing": 90,
    "integration/name_conflicts": 60,
    "integration/namespace_refused": 120,
    "integration/vpa_missing": 60,
    "integration/config_changes": 60,
    "integration/leader_election": 60,
    "integration/deletion": 45,
    "integration/spec_changes": 45,
    "integration/sync_errors": 45,
    "integration/status": 40,
    "integration/replica_handover": 40,
    "integration/reported": 90,
    "integration/startup": 35,
    "integration/restarts": 35,
    "integration/events": 60,
    "integration/ownership": 70,
    "integration/foreign_load": 70,
    "integration/pod_security": 35,
}
"""Measured seconds of the units that take long: those begin first."""

DEFAULT_SECONDS = 20.0

_CHAIN_OF = {module: chain for chain, modules in CHAINS.items() for module in modules}
_ORDER = [*(module for modules in CHAINS.values() for module in modules), *LAST]
_NODE_ID = re.compile(r"(?:.*/)?(\w+)/test_(\w+)\.py::\w+(?:\[(.*)\])?$")


def find_unit(nodeid: str) -> str:
    """The unit of a test."""
    module = _find_module(nodeid)
    parts = SPLIT.get(module, 1)
    if parts > 1:
        return f"{module} ({zlib.crc32(nodeid.encode()) % parts + 1} of {parts})"
    return _CHAIN_OF.get(module, module)


def estimate_seconds(unit: str) -> float:
    """About how long a unit takes."""
    return SECONDS.get(unit.partition(" (")[0], DEFAULT_SECONDS)


def get_position(nodeid: str) -> int:
    """Where in its chain the module of a test stands."""
    module = _find_module(nodeid)
    return _ORDER.index(module) if module in _ORDER else -1


def _find_module(nodeid: str) -> str:
    """The module as this file names it: layer and name, and the page for some of the lab."""
    found = _NODE_ID.match(nodeid)
    if found is None:
        return nodeid
    layer, module, case = found.groups()
    page = f"{layer}/{module}[{case}]"
    return page if page in _ORDER else f"{layer}/{module}"
