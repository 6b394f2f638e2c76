"""The extent of a run of the benchmark, and an estimate of its duration."""

import argparse
from dataclasses import dataclass

FIGURES = "abcdef"

SECONDS_AN_APP_RAW = 0.09
SECONDS_AN_APP_OPERATED = 0.11
SECONDS_AN_APP_REMOVED = 0.09
"""Measured on two cores; used for the estimate only."""
SECONDS_A_RUN = 12.0
SECONDS_OF_TENANTS = 500.0


@dataclass(frozen=True)
class BenchmarkPlan:
    """The extent of a run."""

    apps: tuple[int, ...]
    fleet: int
    repetitions: int
    restarts: int
    singles: int
    bursts: int
    burst: int
    idle: float
    tenants: int
    fat_objects: int
    figures: str

    @property
    def fleet_steps(self) -> tuple[int, ...]:
        """The sizes of the fleet at which memory is measured."""
        return tuple(sorted({0, round(self.fleet * 0.3), self.fleet}))

    @property
    def max_apps(self) -> int:
        """The largest number of apps at the same time."""
        return max(
            [*(self.apps if "a" in self.figures else ()), self.fleet if self.wants_fleet else 1]
        )

    @property
    def wants_fleet(self) -> bool:
        """Whether a figure needs a fleet of apps."""
        return bool(set(self.figures) & set("bcde"))

    def estimate_seconds(self) -> float:
        """Estimate the whole run."""
        return sum(
            [
                self.estimate_convergence_seconds() if "a" in self.figures else 0.0,
                self.estimate_fleet_seconds() if self.wants_fleet else 0.0,
                SECONDS_OF_TENANTS if "f" in self.figures else 0.0,
            ]
        )

    def estimate_pair_seconds(self, count: int) -> float:
        """Estimate a raw loop and a convergence of ``count`` apps, with the cleanup."""
        each = SECONDS_AN_APP_RAW + SECONDS_AN_APP_OPERATED + 2 * SECONDS_AN_APP_REMOVED
        return 2 * SECONDS_A_RUN + count * each

    def estimate_convergence_seconds(self) -> float:
        """Estimate figure (a)."""
        return 60 + sum(self.repetitions * self.estimate_pair_seconds(count) for count in self.apps)

    def estimate_fleet_seconds(self) -> float:
        """Estimate figures (b) to (e)."""
        latency = self.singles * 0.3 + self.bursts * 16 + 90
        idle = self.idle + 90
        restarts = self.restarts * 20
        return (
            60
            + self.fleet * (SECONDS_AN_APP_OPERATED + SECONDS_AN_APP_REMOVED)
            + (latency if "b" in self.figures else 0)
            + (idle if "c" in self.figures else 0)
            + (restarts if "d" in self.figures else 0)
        )


def parse_arguments(arguments: list[str]) -> BenchmarkPlan:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hack.benchmark",
        description="Measures the operator on the cluster of KUBECONFIG, beside a raw loop of the "
        "same server-side applies.",
    )
    parser.add_argument(
        "--apps", default="300,500", help="apps to converge, figure (a): 300,500 by default"
    )
    parser.add_argument(
        "--fleet", type=int, default=0, help="apps of figures (b) to (e); 1000, or twice --apps"
    )
    parser.add_argument("--repetitions", type=int, default=3, help="pairs of runs of figure (a)")
    parser.add_argument("--restarts", type=int, default=3, help="restarts of figure (d)")
    parser.add_argument("--singles", type=int, default=300, help="single changes of figure (b)")
    parser.add_argument("--idle", type=float, default=60, help="idle seconds of figure (c)")
    parser.add_argument(
        "--tenants", type=int, default=200, help="namespaces of other teams, figure (f)"
    )
    parser.add_argument(
        "--fat-objects", type=int, default=100, help="ConfigMaps and Secrets of 1 MiB, figure (f)"
    )
    parser.add_argument("--figures", default=FIGURES, help="which figures, such as ac")
    options = parser.parse_args(arguments)
    apps = tuple(int(part) for part in options.apps.split(","))
    fleet = options.fleet or (1000 if options.apps == "300,500" else 2 * max(apps))
    return BenchmarkPlan(
        apps=apps,
        fleet=fleet,
        repetitions=options.repetitions,
        restarts=options.restarts,
        singles=min(options.singles // 2, fleet),
        bursts=3,
        burst=min(50, fleet),
        idle=options.idle,
        tenants=options.tenants,
        fat_objects=options.fat_objects,
        figures="".join(figure for figure in FIGURES if figure in options.figures),
    )
