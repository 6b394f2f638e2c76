"""What the tool reads from the machine, and what it would do to it: networks, processes, ports."""

import json
import os
import socket
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hack.localcluster import (
    cleanup,
    daemon,
    network_namespace,
    packages,
    pod_network,
    ports,
    runc_wrapper,
)
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths, find_paths

IDENTS = st.integers(0, 2**32 - 1).map(lambda number: f"{number:08x}")
KUBERNETES_RANGES = (IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16"))


@given(IDENTS)
def test_a_clones_network_is_clear_of_kubernetes_and_whole(ident: str) -> None:
    block = network_namespace.choose_block(ident, [])
    network = network_namespace.Network(block)
    parts = [IPv4Network(network.kind), IPv4Network(network.pool)]
    parts += [IPv4Network(network.docker0, strict=False), IPv4Network(f"{network.host}/30", False)]

    assert not any(block.overlaps(other) for other in KUBERNETES_RANGES)
    assert all(part.subnet_of(block) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)


@given(st.lists(IDENTS, min_size=2, max_size=6))
def test_clones_side_by_side_never_overlap(idents: list[str]) -> None:
    taken: list[IPv4Network] = []
    for ident in idents:
        block = network_namespace.choose_block(ident, taken)
        assert not any(block.overlaps(other) for other in taken)
        taken.append(block)


def test_the_network_of_last_time_is_kept_where_it_is_free() -> None:
    wanted = IPv4Network("10.219.252.0/22")

    assert network_namespace.choose_block("00000000", [], wanted) == wanted
    assert network_namespace.choose_block("00000000", [wanted], wanted) != wanted


def test_no_free_network_says_so() -> None:
    with pytest.raises(ClusterError, match="ip route"):
        network_namespace.choose_block("00000000", [IPv4Network("10.192.0.0/11")])


def test_routes_are_read_without_the_default_one() -> None:
    routes = [{"dst": "default"}, {"dst": "10.1.0.0/16"}, {"dst": "192.0.2.7"}]

    assert network_namespace.parse_routed_networks(json.dumps(routes)) == [
        IPv4Network("10.1.0.0/16"),
        IPv4Network("192.0.2.7/32"),
    ]


@given(IDENTS)
def test_device_names_fit_the_kernels_limit(ident: str) -> None:
    assert len(network_namespace.device_name(ident)) <= 15


def test_only_a_clones_own_rules_are_found_again() -> None:
    network = network_namespace.Network(IPv4Network("10.200.0.0/22"))
    rules = network_namespace.build_host_rules(
        "aaaaaaaa", network
    ) + network_namespace.build_host_rules("bbbbbbbb", network)
    listing = "-P FORWARD ACCEPT\n" + "\n".join(" ".join(["-A", *rule[1:]]) for rule in rules)

    found = network_namespace.select_own_rules(listing, "aaaaaaaa")

    assert found == [rule[1:] for rule in rules[:3]]


def test_quoted_comments_are_found_too() -> None:
    listing = '-A FORWARD -m comment --comment "selfhealing-aaaaaaaa" -j ACCEPT'

    assert network_namespace.select_own_rules(listing, "aaaaaaaa")[0][-3] == "selfhealing-aaaaaaaa"


def test_a_socket_path_fits_however_deep_the_clone_is() -> None:
    paths = Paths(Path("/" + "deep/" * 60), Path("/cache"))

    assert len(str(daemon.socket_path(paths))) < 108


def test_two_clones_share_nothing_but_the_cache(tmp_path: Path) -> None:
    one, two = (find_paths(tmp_path / name, {"HOME": "/h"}) for name in ("one", "two"))

    assert one.cache == two.cache
    assert one.run != two.run
    assert one.clone_data != two.clone_data
    assert one.cluster_name != two.cluster_name


def test_the_cache_follows_xdg(tmp_path: Path) -> None:
    assert find_paths(tmp_path, {"XDG_CACHE_HOME": "/x"}).cache == Path("/x/selfhealing-cluster")


def test_the_daemon_reads_nothing_of_the_machines() -> None:
    paths = Paths(Path("/clone"), Path("/cache"))
    network = network_namespace.Network(IPv4Network("10.200.0.0/22"))

    config = daemon.render_config(paths, network, uses_wrapper=True, major=20)

    assert config["hosts"] == [f"unix://{paths.run}/docker.sock"]
    assert all("/etc/" not in str(value) for value in config.values())
    assert config["default-runtime"] in config["runtimes"]
    assert config["live-restore"] is True


def test_a_newer_daemon_is_not_given_options_it_refuses() -> None:
    paths = Paths(Path("/clone"), Path("/cache"))
    network = network_namespace.Network(IPv4Network("10.200.0.0/22"))

    config = daemon.render_config(paths, network, uses_wrapper=False, major=26)

    assert "deprecated-key-path" not in config
    assert "runtimes" not in config


def test_dockerds_version_is_read() -> None:
    assert daemon.parse_major_version("Docker version 20.10.24+dfsg1, build 5d6db84") == 20


def test_a_pid_file_alone_is_not_trusted(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "run")
    paths.run.mkdir(parents=True)
    daemon.pid_file(paths).write_text(f"{os.getpid()}\n")  # alive, but not dockerd

    assert daemon.running_pid(paths) is None


@pytest.mark.parametrize(
    ("effective", "has"), [("000001fffeffffff", False), ("000001ffffffffff", True)]
)
def test_the_missing_capability_is_seen(effective: str, *, has: bool) -> None:
    assert runc_wrapper.has_sys_resource(f"Name:\tx\nCapEff:\t{effective}\n") is has


def run_wrapper(folder: Path, *arguments: str) -> str:
    """Run the wrapper with a runc that prints its arguments."""
    runc = folder / "runc"
    runc.write_text('#!/bin/sh\necho "$@"\n')
    runc.chmod(0o755)
    wrapper = folder / "wrapper"
    runc_wrapper.write_wrapper(wrapper)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(
        [wrapper, *arguments], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


PROCESS = {
    "args": ["sh"],
    "capabilities": {"bounding": ["CAP_SYS_RESOURCE", "CAP_CHOWN"], "effective": ["CAP_CHOWN"]},
    "oomScoreAdj": -999,
}


def test_the_wrapper_drops_the_wish_and_becomes_runc(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": PROCESS, "root": {"path": "rootfs"}}))

    answer = run_wrapper(tmp_path, "--root", "/r", "create", "--bundle", str(tmp_path), "name")

    written = json.loads(config.read_text())
    assert answer == f"--root /r create --bundle {tmp_path} name"
    assert written["process"]["capabilities"]["bounding"] == ["CAP_CHOWN"]
    assert "oomScoreAdj" not in written["process"]
    assert written["root"] == {"path": "rootfs"}


def test_the_wrapper_trims_exec_too(tmp_path: Path) -> None:
    process = tmp_path / "process.json"
    process.write_text(json.dumps(PROCESS))

    run_wrapper(tmp_path, "exec", f"--process={process}", "name")

    assert json.loads(process.read_text())["capabilities"]["bounding"] == ["CAP_CHOWN"]


def test_the_wrapper_leaves_other_calls_alone(tmp_path: Path) -> None:
    assert run_wrapper(tmp_path, "state", "name") == "state name"


def test_containers_are_recognised_by_their_cgroup() -> None:
    inside = "4:memory:/selfhealing-aaaaaaaa/0123/kubelet.slice\n0::/"

    assert cleanup.is_in_cgroup(inside, "aaaaaaaa")
    assert not cleanup.is_in_cgroup(inside, "bbbbbbbb")
    assert not cleanup.is_in_cgroup("0::/selfhealing-aaaaaaaab/x", "aaaaaaaa")


def test_only_dockers_programs_on_the_clones_folder_are_its_daemons() -> None:
    run = Path("/run/selfhealing-cluster/aaaaaaaa")

    assert cleanup.is_own_docker(["/usr/bin/dockerd", "--config-file", f"{run}/daemon.json"], run)
    assert not cleanup.is_own_docker(["dockerd", "--config-file", f"{run}b/daemon.json"], run)
    assert not cleanup.is_own_docker(["tail", "-f", f"{run}/dockerd.log"], run)
    assert not cleanup.is_own_docker([], run)


def test_mounts_are_undone_from_the_deepest() -> None:
    lines = [f"1 2 0:1 / {point} rw - ext4 x rw" for point in ("/a", "/a/b", "/a/b/c", "/ab", "/z")]

    assert cleanup.list_mounts_below("\n".join(lines), [Path("/a")]) == ["/a/b/c", "/a/b", "/a"]


def test_a_sweep_never_takes_its_own_process(tmp_path: Path) -> None:
    assert os.getpid() not in cleanup.list_own_processes(
        Paths(tmp_path, tmp_path, tmp_path / "run")
    )


def test_a_ports_taker_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError, match=rf"port {port}.*process {os.getpid()}"):
            ports.require_free_port(port, "a test")
    ports.require_free_port(port, "a test")


def test_only_listening_sockets_take_a_port() -> None:
    table = (
        "  sl  local_address rem_address st tx_queue tr tm->when retrnsmt uid timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1\n"
        "   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 4712 1\n"
    )

    assert ports.listening_inodes(table, 8080) == {"4711"}
    assert ports.listening_inodes(table, 8081) == set()


def test_missing_packages_are_those_without_proof(tmp_path: Path) -> None:
    present = tmp_path / "file"
    present.touch()
    needed = {"a": str(present), "b": str(tmp_path / "none"), "c": "no-such-program-anywhere"}

    assert packages.list_missing(needed) == ["b", "c"]


def test_who_may_not_install_packages_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where something is missing."""
    paths = Paths(tmp_path, tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    packages.ensure_tools(paths, {"here": str(tmp_path)}, "do without")
    with pytest.raises(ClusterError, match=r"missing: gone; install them, .*, or do without"):
        packages.ensure_tools(paths, {"gone": str(tmp_path / "gone")}, "do without")


def test_pod_ranges_are_those_of_the_nodes_asked_for() -> None:
    nodes = {
        "items": [
            {"metadata": {"name": "a"}, "spec": {"podCIDR": "10.244.0.0/24"}},
            {"metadata": {"name": "late"}, "spec": {}},
            {"metadata": {"name": "kwok-node-0"}, "spec": {"podCIDR": "10.244.9.0/24"}},
        ]
    }

    assert pod_network.parse_pod_cidrs(json.dumps(nodes), ["a", "late"]) == [("a", "10.244.0.0/24")]


def test_ending_processes_is_polite_first() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    daemon.terminate_processes(lambda: [process.pid] if process.poll() is None else [], seconds=5)

    assert process.wait(5) == -15
