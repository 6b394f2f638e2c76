"""``python -m hack.loadtest``: the command of ``make load``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hack.loadtest.console import LoadConsole, render_report
from hack.loadtest.plan import LoadPlan, parse_arguments
from hack.loadtest.result_stats import ResultStats
from hack.loadtest.vegeta import Attack
from hack.localcluster import build_stages, go_build
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import Paths, find_paths
from hack.localcluster.progress import ProgressReporter
from hack.testkit import cli
from hack.testkit.kube_client import KubeClient, connect_to_clone_cluster
from hack.testkit.service_access import open_service


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the requests; the exit code is 0 if at least one succeeded.

    With the single argument ``build`` vegeta is built, if it is not yet.
    """
    paths = find_paths(Path(__file__).resolve().parents[2], os.environ)
    if (sys.argv[1:] if arguments is None else list(arguments)) == ["build"]:
        return cli.run_command(lambda: int(not _build_vegeta(paths)), ClusterError)
    plan = parse_arguments(arguments)
    return cli.run_command(
        lambda: _run(plan, connect_to_clone_cluster(paths, plan.namespace), _build_vegeta(paths)),
        ClusterError,
    )


def _build_vegeta(paths: Paths) -> str:
    """Return the path of vegeta; it is built the first time."""
    reporter = ProgressReporter(paths.cache / "timings.json")
    stage = go_build.describe_module_stage(paths, reporter, "vegeta")
    return str(build_stages.ensure_built(paths, stage, reporter) / "vegeta")


def _run(plan: LoadPlan, kube: KubeClient, vegeta: str) -> int:
    console = Console(highlight=False)
    stats = ResultStats()
    with open_service(kube, plan.app) as endpoint:
        url = endpoint.url + plan.path
        console.print(f"{plan.app} in {plan.namespace}, {plan.rate_text}, for {plan.seconds} s")
        console.print(f"  {url}  (by {endpoint.access_kind})", soft_wrap=True)
        with Attack(plan, vegeta, url) as attack, LoadConsole(console, plan, stats) as console_view:
            stopped = _collect_results(attack, stats, console_view)
            seconds = min(console_view.elapsed, plan.seconds)
    for part in render_report(plan, stats, seconds):
        console.print(part)
    if stopped:
        return cli.EXIT_INTERRUPTED
    return 0 if stats.sent > stats.failed else 1


def _collect_results(attack: Attack, stats: ResultStats, console_view: LoadConsole) -> bool:
    """Count the results until the end; return whether Ctrl-C ended it."""
    try:
        for line in attack.results():
            if line is not None:
                stats.add_result(line)
            console_view.update()
    except KeyboardInterrupt:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
