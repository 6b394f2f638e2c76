"""The network of a clone's Docker daemon: a namespace that a veth pair connects to the machine.

dockerd sets up bridges, dozens of iptables rules and a FORWARD policy, flushes the rules of any
other dockerd when it starts, and leaves all of it behind when it stops. In a namespace of its own
none of that affects the machine or another clone, and removing the namespace removes everything.

The machine gets one veth, its route, three iptables rules with the clone's name in a comment, and
ip_forward, which is restored when the last clone is removed.
"""

import ipaddress
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_checked, run_unchecked

_FIRST: Final = int(ipaddress.IPv4Address("10.200.0.0"))
_BLOCKS: Final = 20 * 64
"""/22 blocks from 10.200.0.0 on: clear of kind's pod (10.244/16) and Service (10.96/16) ranges."""

_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Network:
    """The addresses of one clone, all inside one /22 block."""

    block: IPv4Network

    @property
    def host(self) -> str:
        """The address of the machine's end of the veth pair."""
        return str(self.block[1])

    @property
    def daemon(self) -> str:
        """The address of the daemon's end of the veth pair, which publishes the API server."""
        return str(self.block[2])

    @property
    def docker0(self) -> str:
        """The default bridge's address, for image builds."""
        return f"{self.block[256 + 1]}/24"

    @property
    def kind(self) -> str:
        """The subnet of kind's own Docker network, where the nodes are."""
        return str(list(self.block.subnets(new_prefix=24))[2])

    @property
    def pool(self) -> str:
        """Where any further Docker network gets its subnet."""
        return str(list(self.block.subnets(new_prefix=24))[3])


def candidate_blocks(ident: str) -> Iterator[IPv4Network]:
    """Yield blocks to try for a clone: always the same order, and different ones for others."""
    start = int(ident, 16)
    for step in range(_BLOCKS):
        yield IPv4Network((_FIRST + (start + step) % _BLOCKS * 1024, 22))


def choose_block(
    ident: str, routed: Iterable[IPv4Network], wanted: IPv4Network | None = None
) -> IPv4Network:
    """Pick the first candidate that overlaps no network the machine already knows."""
    known = list(routed)
    for block in itertools.chain([wanted] if wanted else [], candidate_blocks(ident)):
        if not any(block.overlaps(other) for other in known):
            return block
    raise ClusterError(
        "no free network in 10.200.0.0-10.219.255.255: the machine's routes cover it all;"
        " 'ip route' shows them"
    )


def parse_routed_networks(routes: str) -> list[IPv4Network]:
    """Read the destinations from ``ip -json route``, without the default route."""
    found = []
    for route in json.loads(routes or "[]"):
        destination = route.get("dst", "default")
        if destination != "default":
            found.append(IPv4Network(destination, strict=False))
    return found


def build_host_rules(ident: str, network: Network) -> list[list[str]]:
    """List the machine's rules for a clone, as arguments after ``iptables -A`` or ``-D``."""
    comment = ["-m", "comment", "--comment", f"selfhealing-{ident}"]
    block, device = str(network.block), device_name(ident)
    return [
        ["nat", "POSTROUTING", "-s", block, "!", "-o", device, *comment, "-j", "MASQUERADE"],
        ["filter", "FORWARD", "-i", device, *comment, "-j", "ACCEPT"],
        ["filter", "FORWARD", "-o", device, *comment, "-j", "ACCEPT"],
    ]


def device_name(ident: str) -> str:
    """Return the name of the machine's veth (a device name has at most 15 bytes)."""
    return f"shc-{ident}"


def namespace_file(paths: Paths) -> Path:
    """Return the file that keeps the namespace alive."""
    return paths.run / "netns"


def enter_command(paths: Paths) -> list[str]:
    """Return the prefix that runs a command in the clone's network, and changes nothing else.

    ``ip netns exec`` would also remount /sys and so hide the cgroups from the daemon.
    """
    return ["nsenter", f"--net={namespace_file(paths)}", "--"]


def is_network_up(paths: Paths, network: Network) -> bool:
    """Tell whether the namespace and the veth pair exist and work."""
    inside = run_unchecked(
        [*enter_command(paths), "ip", "-brief", "address", "show", "dev", "host"]
    )
    outside = run_unchecked(["ip", "-brief", "address", "show", "dev", device_name(paths.ident)])
    return f"{network.daemon}/" in inside.stdout and f"{network.host}/" in outside.stdout


def set_up(paths: Paths, wanted: IPv4Network | None) -> Network:
    """Create the namespace and the veth pair, or keep them.

    ``wanted`` is the previous block: Docker's networks on disk still have it.
    """
    if wanted is not None and is_network_up(paths, Network(wanted)):
        _configure_host(paths.ident, Network(wanted))
        return Network(wanted)
    tear_down(paths, wanted)
    routed = parse_routed_networks(run_checked(["ip", "-json", "-4", "route"]))
    network = Network(choose_block(paths.ident, routed, wanted))
    name, device = str(namespace_file(paths)), device_name(paths.ident)
    Path(name).touch()
    run_checked(["unshare", f"--net={name}", "true"])
    run_checked(
        ["ip", "link", "add", device, "type", "veth", "peer", "name", "host", "netns", name]
    )
    inside = enter_command(paths)
    run_checked([*inside, "ip", "link", "set", "lo", "up"])
    run_checked([*inside, "ip", "address", "add", f"{network.daemon}/30", "dev", "host"])
    run_checked([*inside, "ip", "link", "set", "host", "up"])
    run_checked(["ip", "address", "add", f"{network.host}/30", "dev", device])
    run_checked(["ip", "link", "set", device, "up"])
    run_checked([*inside, "ip", "route", "add", "default", "via", network.host])
    run_checked(["ip", "route", "replace", str(network.block), "via", network.daemon])
    _configure_host(paths.ident, network)
    return network


def _configure_host(ident: str, network: Network) -> None:
    """Let the clone reach the outside through the machine, as containers do."""
    for table, chain, *rule in build_host_rules(ident, network):
        if run_unchecked(["iptables", "-w", "-t", table, "-C", chain, *rule]).returncode != 0:
            run_checked(["iptables", "-w", "-t", table, "-I", chain, *rule])
    if _FORWARD.read_text().strip() == "0":
        _forward_marker().touch()
        _FORWARD.write_text("1\n")


def _forward_marker() -> Path:
    """Return the mark that ip_forward was off before the first clone came."""
    return Path("/run/selfhealing-cluster/ip_forward-was-off")


def tear_down(paths: Paths, block: IPv4Network | None) -> None:
    """Remove veth pair, rules and namespace; each may be missing."""
    device, name = device_name(paths.ident), namespace_file(paths)
    for table, line in _list_own_rules(paths.ident):
        run_unchecked(["iptables", "-w", "-t", table, "-D", *line])
    if block is not None:
        run_unchecked(["ip", "route", "del", str(block), "dev", device])
    run_unchecked(["ip", "link", "del", device])
    if name.exists():
        run_unchecked(["umount", str(name)])
        name.unlink(missing_ok=True)
    has_other_clones = "shc-" in run_unchecked(["ip", "-brief", "link"]).stdout
    if _forward_marker().exists() and not has_other_clones:
        _FORWARD.write_text("0\n")
        _forward_marker().unlink()


def _list_own_rules(ident: str) -> list[tuple[str, list[str]]]:
    """Find the machine's rules that carry this clone's name, whatever else they say."""
    found = []
    for table in ("nat", "filter"):
        listing = run_unchecked(["iptables", "-w", "-t", table, "-S"]).stdout
        found += [(table, rule) for rule in select_own_rules(listing, ident)]
    return found


def select_own_rules(listing: str, ident: str) -> list[list[str]]:
    """Pick from ``iptables -S`` the rules of one clone, as arguments after ``-D``."""
    marks = (f"selfhealing-{ident}", f'"selfhealing-{ident}"')
    return [
        [word.strip('"') for word in line.split()[1:]]
        for line in listing.splitlines()
        if line.startswith("-A ") and any(mark in line.split() for mark in marks)
    ]
