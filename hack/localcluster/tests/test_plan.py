"""What the tool decides from what it finds: action, mode and settings."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hack.localcluster import addons, commands, existing, stock
from hack.localcluster.engine import SOURCE, STOCK, NodeContainer
from hack.localcluster.errors import ClusterError
from hack.localcluster.kind_config import (
    CONTROLLER_MANAGER,
    DesiredCluster,
    cni_config,
    node_names,
    peers_file,
    render,
)
from hack.localcluster.paths import Paths
from hack.localcluster.plan import (
    Action,
    ClusterRecord,
    cluster_config_hash,
    plan_action,
    read_record,
)

DESIRED = DesiredCluster(
    "c", "node:1", 1, from_source=True, api_address="10.200.0.2", api_port=6443
)


def build_containers(desired: DesiredCluster, *, stopped: int = 0) -> list[NodeContainer]:
    names = node_names(desired.name, desired.workers)
    return [NodeContainer(name, f"id-{name}", at >= stopped) for at, name in enumerate(names)]


def build_record(desired: DesiredCluster) -> ClusterRecord:
    found = build_containers(desired)
    return ClusterRecord(
        "source", cluster_config_hash(desired), desired.workers, {c.name: c.ident for c in found}
    )


def test_a_recorded_running_cluster_is_kept() -> None:
    assert (
        plan_action(build_containers(DESIRED), build_record(DESIRED), DESIRED).action is Action.KEEP
    )


def test_nothing_there_is_created_even_if_a_record_says_otherwise() -> None:
    assert plan_action([], build_record(DESIRED), DESIRED).action is Action.CREATE


def test_a_stopped_node_is_started() -> None:
    verdict = plan_action(build_containers(DESIRED, stopped=1), build_record(DESIRED), DESIRED)

    assert verdict.action is Action.START
    assert "c-control-plane" in verdict.reason


def test_a_cluster_without_record_was_never_finished() -> None:
    assert plan_action(build_containers(DESIRED), None, DESIRED).action is Action.REPLACE


@given(
    change=st.sampled_from(["image", "workers", "lost", "other container", "extra"]),
    workers=st.integers(1, 4),
)
def test_a_cluster_that_is_not_the_recorded_one_is_never_kept(change: str, workers: int) -> None:
    wish = dataclasses.replace(DESIRED, workers=workers)
    record, found = build_record(wish), build_containers(wish)
    if change == "image":
        wish = dataclasses.replace(wish, image="node:2")
    elif change == "workers":
        wish = dataclasses.replace(wish, workers=workers + 1)
    elif change == "lost":
        found = found[:-1]
    elif change == "other container":
        found[0] = dataclasses.replace(found[0], ident="another")
    else:
        found.append(NodeContainer("c-worker99", "id", running=True))

    assert plan_action(found, record, wish).action is Action.REPLACE


def test_a_record_survives_being_written_and_read() -> None:
    record = build_record(DESIRED)

    assert record == read_record(json.dumps(dataclasses.asdict(record)))


def test_a_record_with_the_old_key_of_the_mode_is_read() -> None:
    """Without it ``make cluster`` would replace a cluster that runs."""
    record = build_record(DESIRED)
    content = dataclasses.asdict(record)
    content["way"] = content.pop("mode")

    assert record == read_record(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}', "null"])
def test_a_damaged_record_counts_as_none(text: str) -> None:
    assert read_record(text) is None


@pytest.mark.parametrize(
    ("wanted", "recorded", "problem", "mode"),
    [
        ("", None, None, STOCK),
        ("", None, "no docker", SOURCE),
        ("", SOURCE, None, SOURCE),
        ("", STOCK, None, STOCK),
        ("source", STOCK, None, SOURCE),
        ("stock", SOURCE, None, STOCK),
    ],
)
def test_the_mode(wanted: str, recorded: str | None, problem: str | None, mode: str) -> None:
    assert mode == commands.choose_mode(wanted, recorded, lambda: problem)


def test_a_forced_way_that_cannot_be_gone_says_why() -> None:
    with pytest.raises(ClusterError, match="no docker here"):
        commands.choose_mode("stock", None, lambda: "no docker here")


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ClusterError, match="NODE_IMAGE"):
        commands.choose_mode("magic", None, lambda: None)


@pytest.mark.parametrize(
    ("wanted", "recorded", "expected"), [("", None, 1), ("", 3, 3), ("2", 3, 2), ("0", None, 0)]
)
def test_workers(wanted: str, recorded: int | None, expected: int) -> None:
    assert expected == commands.parse_workers(wanted, recorded)


@pytest.mark.parametrize("wanted", ["-1", "x", "10", "1.5"])
def test_impossible_workers_are_refused(wanted: str) -> None:
    with pytest.raises(ClusterError, match="WORKERS"):
        commands.parse_workers(wanted, None)


def test_unknown_addons_are_refused_by_name() -> None:
    with pytest.raises(ClusterError, match="'nothing-like-it'"):
        addons.parse_addons("nothing-like-it")


def test_no_addons_are_none() -> None:
    assert addons.parse_addons(" , ") == []


def test_images_of_both_ways_have_a_version() -> None:
    for name in ("metrics-server", "kwok"):
        for from_source in (True, False):
            assert ":v" in addons.addon_image(name, from_source=from_source)


def test_the_kind_configuration_of_a_source_cluster_names_its_own_images() -> None:
    config = render(DESIRED)
    patch = json.loads(config["kubeadmConfigPatches"][0])

    assert config["networking"]["disableDefaultCNI"] is True
    assert patch["imageRepository"].startswith("localhost/")
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker"]


def test_the_kind_configuration_of_a_stock_cluster_leaves_images_and_network_alone() -> None:
    config = render(dataclasses.replace(DESIRED, from_source=False))

    assert config["networking"]["disableDefaultCNI"] is False
    assert "imageRepository" not in config["kubeadmConfigPatches"][0]


def test_both_ways_have_the_same_timings() -> None:
    for from_source in (True, False):
        patch = json.loads(
            render(dataclasses.replace(DESIRED, from_source=from_source))["kubeadmConfigPatches"][0]
        )
        arguments = {a["name"]: a["value"] for a in patch["controllerManager"]["extraArgs"]}
        assert arguments == CONTROLLER_MANAGER
        assert [entry["name"] for entry in patch["etcd"]["local"]["extraArgs"]] == [
            "unsafe-no-fsync",
            "quota-backend-bytes",
        ]
        assert ("imageTag" in patch["etcd"]["local"]) is from_source
        components = [patch["apiServer"], patch["controllerManager"], patch["scheduler"]]
        for component in [*components, patch["etcd"]["local"]]:
            assert component["extraEnvs"] == [{"name": "GOGC", "value": "300"}]


def test_node_names_are_those_kind_gives() -> None:
    assert node_names("c", 3) == ["c-control-plane", "c-worker", "c-worker2", "c-worker3"]


def test_a_node_is_told_of_the_others_only() -> None:
    cidrs = [("a", "10.244.0.0/24"), ("b", "10.244.1.0/24"), ("c", "10.244.2.0/24")]

    assert peers_file("b", cidrs) == "10.244.0.0/24 a\n10.244.2.0/24 c\n"


def test_a_nodes_pods_get_addresses_of_its_range() -> None:
    plugins = json.loads(cni_config("10.244.7.0/24"))["plugins"]

    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.244.7.0/24"}]]
    assert plugins[1]["type"] == "portmap"


def test_the_current_context_is_read() -> None:
    view = {"current-context": "prod", "clusters": [{"cluster": {"server": "https://x:6443"}}]}

    assert existing.parse_current_context(json.dumps(view)) == ("prod", "https://x:6443")


@pytest.mark.parametrize("view", ["", "{}", '{"current-context": "x", "clusters": null}'])
def test_no_current_context_says_what_to_do(view: str) -> None:
    with pytest.raises(ClusterError, match="use-context"):
        existing.parse_current_context(view)


def test_yes_agrees_beforehand() -> None:
    assert existing.is_confirmed({"YES": "1"}, "?")


def test_nobody_to_ask_is_an_error_not_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)

    with pytest.raises(ClusterError, match="YES=1"):
        existing.is_confirmed({}, "Use it?")


@pytest.mark.parametrize(("answer", "agreed"), [("y", True), ("YES ", True), ("", False)])
def test_only_a_clear_yes_agrees(
    monkeypatch: pytest.MonkeyPatch, answer: str, *, agreed: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)

    assert existing.is_confirmed({}, "?", ask=lambda _: answer) is agreed


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", True),
        ("kind v1.0.0", True),
        ("kind v0.32.9", False),
        ("what?", False),
    ],
)
def test_tools_that_are_too_old_are_passed_over(text: str, *, enough: bool) -> None:
    assert stock.is_new_enough(text, (0, 33)) is enough


@pytest.mark.parametrize("wanted", ["x", "-1", "70000"])
def test_an_impossible_port_is_refused(wanted: str) -> None:
    with pytest.raises(ClusterError, match="API_PORT"):
        stock.parse_api_port(wanted)


def test_the_projects_own_daemon_is_never_taken_for_the_machines() -> None:
    paths = Paths(Path("/clone"), Path("/cache"))
    ours = {"DOCKER_HOST": f"unix://{paths.run}/docker.sock"}

    assert stock.host_docker_environment(paths, ours, None) == {
        "DOCKER_HOST": "unix:///var/run/docker.sock"
    }
    assert stock.host_docker_environment(paths, {}, None) == {}


def test_a_stock_cluster_is_looked_for_where_it_was_made() -> None:
    paths = Paths(Path("/clone"), Path("/cache"))
    record = ClusterRecord(STOCK, "k", 1, docker_host="unix:///there")

    found = stock.host_docker_environment(paths, {"DOCKER_HOST": "unix:///elsewhere"}, record)

    assert found == {"DOCKER_HOST": "unix:///there"}
