"""The table of faults."""

from typing import Final

from hack.worlds import injections as do, texts, versions
from hack.worlds.faults import (
    ENVIRONMENT,
    FOREIGN,
    NEW_VERSION,
    NODE,
    POD,
    Act,
    Fault,
    FaultKind,
)
from hack.worlds.model import EffectKind
from hack.worlds.shapes import Shape
from hack.worlds.versions import release

ROLLBACK: Final = frozenset({"Rollback"})
MEMORY: Final = frozenset({"RaiseMemory", "Rollback"})
MOVE: Final = frozenset({"ReplacePod", "AvoidNode", "Failover"})
STRIP: Final = frozenset({"RemoveForeignFields"})

SHORT: Final = (60.0, 150.0, 400.0, 720.0)
LONG: Final = (300.0, 900.0, 1800.0, 3000.0)


def _version(  # noqa: PLR0913 - the columns of a row
    name: str,
    inject: Act,
    *,
    weight: int = 10,
    fits: object = None,
    onset: float = 0.0,
    best: float = 45.0,
) -> Fault:
    return Fault(
        name,
        FaultKind.VERSION,
        NEW_VERSION,
        inject,
        healed_by=ROLLBACK,
        weight=weight,
        releases=True,
        onset=onset,
        best=best,
        **({"fits": fits} if fits else {}),  # type: ignore[arg-type]
    )


def _environment(
    name: str, inject: Act, undo: Act, *, fits: object = None, releases: bool = False
) -> Fault:
    return Fault(
        name,
        FaultKind.ENVIRONMENT,
        ENVIRONMENT,
        inject,
        undo,
        durations=SHORT + LONG,
        releases=releases,
        **({"fits": fits} if fits else {}),  # type: ignore[arg-type]
    )


def _nuisance(
    name: str,
    inject: Act,
    *,
    undo: Act | None = None,
    fits: object = None,
    releases: bool = False,
) -> Fault:
    return Fault(
        name,
        FaultKind.NUISANCE,
        ENVIRONMENT,
        inject,
        undo or do.nothing,
        durations=(600.0,),
        weight=6,
        releases=releases,
        **({"fits": fits} if fits else {}),  # type: ignore[arg-type]
    )


def _has_config(shape: Shape) -> bool:
    return shape.has_config


def _has_init(shape: Shape) -> bool:
    return shape.has_init


def _has_sidecar(shape: Shape) -> bool:
    return shape.has_sidecar


def _has_readiness(shape: Shape) -> bool:
    return shape.has_readiness


def _has_liveness(shape: Shape) -> bool:
    return shape.has_liveness


def _has_replicas(shape: Shape) -> bool:
    return shape.replicas >= 2


def _has_database(shape: Shape) -> bool:
    return shape.database is not None and (
        shape.database is not EffectKind.HANG or shape.has_readiness
    )


def _has_peers(shape: Shape) -> bool:
    return shape.nodes >= 3 and shape.replicas >= 2


def _has_nodes(shape: Shape) -> bool:
    return shape.nodes >= 3


FAULTS: Final[tuple[Fault, ...]] = (
    _version("image missing", release(versions.no_image), weight=14, best=15.0),
    _version("command missing", release(versions.missing_command), best=15.0),
    _version("crash at start", release(versions.crash(2.0)), weight=14),
    _version("crash after 5 min", release(versions.crash(300.0)), onset=900.0, best=900.0),
    _version("crash after 15 min", release(versions.crash(900.0)), onset=2700.0, best=1800.0),
    Fault(
        "crash after 1 h",  # too rare for a crash loop: who has the app's logs must judge it
        FaultKind.VERSION,
        NEW_VERSION,
        release(versions.crash(3700.0)),
        tried_by=ROLLBACK,
        weight=4,
        releases=True,
        onset=7500.0,
        best=7400.0,
    ),
    _version("hangs", release(versions.hang), fits=_has_readiness, best=60.0),
    _version(
        "readiness path wrong", release(versions.readiness_path), fits=_has_readiness, best=60.0
    ),
    _version("liveness path wrong", release(versions.liveness_path), fits=_has_liveness, best=90.0),
    _version("key missing", release(versions.missing_key), fits=_has_config, best=15.0),
    _version("Secret missing", release(versions.missing_secret), best=15.0),
    _version("environment variable wrong", release(versions.broken_env)),
    _version("init container crashes", release(versions.init_crash), fits=_has_init),
    _version("sidecar crashes", release(versions.sidecar_crash), fits=_has_sidecar),
    _version("no such node label", release(versions.node_selector), best=40.0),
    _version("request too large", release(versions.large_request), best=40.0),
    _version("Pod Security refuses", release(versions.privileged), best=15.0),
    _version("volume missing", release(versions.missing_volume), best=15.0),
    _version("wrong platform", release(versions.wrong_platform), weight=6, best=15.0),
    _version(
        "init container hangs", release(versions.init_hang), fits=_has_init, weight=6, best=600.0
    ),
    _version(
        "crashes in half of its pods", release(versions.crash_in_half), weight=8, fits=_has_replicas
    ),
    _version(
        "quota refuses the version", release(versions.large_memory_request), weight=6, best=15.0
    ),
    Fault(
        "bad version, and the ConfigMap before is pruned",
        FaultKind.VERSION,
        NEW_VERSION,
        release(versions.pruned_config),
        fits=_has_config,
        releases=True,
        weight=6,
    ),
    Fault(
        "version needs more memory",
        FaultKind.VERSION,
        NEW_VERSION,
        release(versions.more_memory),
        healed_by=MEMORY,
        releases=True,
    ),
    Fault(
        "configuration broken",
        FaultKind.CONFIGURATION,
        NEW_VERSION,
        do.break_config,
        do.mend_config,
        healed_by=ROLLBACK,
        fits=_has_config,
        durations=LONG,
        best=45.0,
    ),
    Fault(
        "memory spike",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | POD | {"Unknown"},
        do.memory_spike,
        do.end_spike,
        healed_by=frozenset({"RaiseMemory"}),
        fits=lambda s: s.memory_max,
        durations=LONG,
        best=15.0,
    ),
    Fault(
        "memory spike, resize deferred",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | POD | {"Unknown"},
        do.spike_without_room("Deferred"),
        do.end_spike,
        tried_by=frozenset({"RaiseMemory"}),
        fits=lambda s: s.memory_max,
        durations=LONG,
        weight=6,
    ),
    Fault(
        "memory spike, resize infeasible",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | POD | {"Unknown"},
        do.spike_without_room("Infeasible"),
        do.end_spike,
        tried_by=frozenset({"RaiseMemory"}),
        fits=lambda s: s.memory_max,
        durations=LONG,
        weight=6,
    ),
    Fault(
        "memory spike of the sidecar",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | POD | {"Unknown"},
        do.sidecar_spike,
        do.end_sidecar_spike,
        healed_by=frozenset({"RaiseMemory"}),
        fits=lambda s: s.memory_max and s.has_sidecar,
        durations=LONG,
        weight=6,
        best=15.0,
    ),
    _environment("liveness fails under load", do.overload, do.cure_node, fits=_has_liveness),
    _environment(
        "registry limits the rate", do.registry(texts.RATE_LIMIT), do.registry(""), releases=True
    ),
    _environment("registry without DNS", do.registry(texts.NO_DNS), do.registry(""), releases=True),
    _environment(
        "registry certificate", do.registry(texts.BAD_CERTIFICATE), do.registry(""), releases=True
    ),
    _environment(
        "registry refuses", do.registry(texts.NO_CREDENTIALS), do.registry(""), releases=True
    ),
    _environment("database away", do.database(False), do.database(True), fits=_has_database),
    _environment(
        "release while the database is away",
        do.release_without_database,
        do.database(True),
        fits=_has_database,
        releases=True,
    ),
    _environment("no pod network", do.sandbox(texts.NO_NETWORK), do.sandbox(""), releases=True),
    _environment("injected proxy crashes", do.inject_proxy, do.remove_proxy, releases=True),
    _environment("webhook down", do.webhook(texts.WEBHOOK_DOWN), do.webhook(""), releases=True),
    _environment("quota exhausted", do.exhaust_quota, do.raise_quota, releases=True),
    _environment("ConfigMap deleted", do.delete_config, do.restore_config, fits=_has_config),
    _environment(
        "no room until a node comes",
        do.fill_nodes,
        do.add_node,
        fits=lambda s: s.nodes <= 3,
        releases=True,
    ),
    _environment("no metrics", do.metrics(False), do.metrics(True), fits=lambda s: s.autoscaled),
    Fault(
        "all nodes silent",
        FaultKind.ENVIRONMENT,
        NODE,
        do.silence_share(1.0),
        do.answer_all,
        durations=SHORT + LONG,
    ),
    Fault(
        "a third of the nodes silent",
        FaultKind.ENVIRONMENT,
        NODE,
        do.silence_share(0.34),
        do.answer_all,
        fits=_has_nodes,
        durations=SHORT + LONG,
    ),
    Fault(
        "disk of a node full",
        FaultKind.NODE,
        NODE,
        do.fill_disk,
        do.empty_disk,
        releases=True,
        fits=_has_peers,
        durations=LONG,
    ),
    Fault(
        "node evicts for its disk",
        FaultKind.NODE,
        NODE,
        do.press_disk,
        do.release_disk,
        fits=_has_nodes,
        durations=SHORT + LONG,
    ),
    Fault(
        "node power cycle",
        FaultKind.NODE,
        NODE,
        do.lose_node,
        do.recover_node,
        durations=(30.0, 90.0, 240.0),
    ),
    Fault(
        "node lost",
        FaultKind.NODE,
        NODE,
        do.lose_node,
        do.recover_node,
        healed_by=frozenset({"Failover"}),
        fits=_has_nodes,
        durations=(1500.0, 3600.0),
        best=110.0,
    ),
    Fault(
        "node crashes its pods",
        FaultKind.NODE,
        NODE | POD,
        do.sicken_node(EffectKind.CRASH),
        do.cure_node,
        healed_by=MOVE,
        fits=_has_peers,
        durations=(1800.0, 3600.0),
        best=60.0,
    ),
    Fault(
        "pods hang on a node",
        FaultKind.NODE,
        NODE | POD,
        do.sicken_node(EffectKind.HANG),
        do.cure_node,
        healed_by=MOVE,
        fits=lambda s: _has_peers(s) and s.has_readiness,
        durations=(1800.0, 3600.0),
        best=330.0,
    ),
    Fault(
        "one pod hangs",
        FaultKind.POD,
        POD,
        do.sicken_pod(EffectKind.HANG),
        do.cure_pods,
        healed_by=MOVE,
        fits=_has_readiness,
        durations=(3600.0,),
        weight=14,
        best=330.0,
    ),
    Fault(
        "one pod crashes",
        FaultKind.POD,
        POD,
        do.sicken_pod(EffectKind.CRASH),
        do.cure_pods,
        healed_by=MOVE,
        fits=lambda s: s.replicas >= 2,
        durations=(3600.0,),
        best=60.0,
    ),
    Fault(
        "readiness flaps",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | POD | {"Unknown"},
        do.flap,
        do.cure_pods,
        fits=_has_readiness,
        durations=(300.0, 900.0),
    ),
    Fault(
        "edit: wrong command",
        FaultKind.FOREIGN,
        FOREIGN,
        do.edit_command,
        do.undo_edit,
        healed_by=STRIP,
        durations=(1800.0, 3600.0),
        best=15.0,
    ),
    Fault(
        "edit: wrong variable",
        FaultKind.FOREIGN,
        FOREIGN,
        do.edit_variable,
        do.undo_edit,
        healed_by=STRIP,
        durations=(1800.0, 3600.0),
        best=45.0,
    ),
    _nuisance("good release", release(versions.good), releases=True),
    _nuisance(
        "release that starts slowly",
        release(versions.slow_start),
        fits=lambda s: s.has_startup,
        releases=True,
    ),
    _nuisance(
        "init container retries",
        do.late_migration,
        undo=do.end_migration,
        fits=_has_init,
        releases=True,
    ),
    _nuisance("autoscaler scales", do.scale_often, fits=lambda s: s.autoscaled),
    _nuisance("Secret rotates", do.rotate_secret, fits=lambda s: s.has_secret),
    _nuisance("node drained", do.drain, undo=do.uncordon, fits=_has_nodes),
    _nuisance("pod deleted", do.delete_pod),
    _nuisance("scaled to zero by hand", do.scale_to_zero, fits=lambda s: not s.autoscaled),
    _nuisance("ConfigMap changes", do.change_config, fits=_has_config),
)

LATER_FAULTS: Final[tuple[Fault, ...]] = (
    Fault(
        "CPU limit too low for the load",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | POD | {"Unknown"},
        do.cpu_peak,
        do.end_cpu_peak,
        healed_by=frozenset({"RaiseCPU"}),
        fits=_has_readiness,
        durations=LONG,
        weight=6,
        best=45.0,
    ),
    Fault(
        "liveness fails under load, and may be relaxed",
        FaultKind.ENVIRONMENT,
        ENVIRONMENT | {"Unknown"},
        do.overload,
        do.cure_node,
        healed_by=frozenset({"RelaxLiveness"}),
        fits=lambda s: (
            s.has_liveness and s.relaxes_liveness and not s.has_startup and s.strategy != "Recreate"
        ),
        durations=LONG,
        weight=6,
        best=180.0,
    ),
    _environment("NetworkPolicy in the way", do.cut_off, do.let_through, fits=_has_database),
)
"""Rows that only the worlds of some numbers have, so that the others stay what they are."""

ALL_FAULTS: Final = (*FAULTS, *LATER_FAULTS)
