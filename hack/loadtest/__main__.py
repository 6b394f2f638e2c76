"""``python -m hack.loadtest``: the command of ``make load``."""

import os
import sys
from collections.abc import Sequence

from rich.console import Console

from hack.loadtest.console import LoadConsole, render_report
from hack.loadtest.plan import LoadPlan, parse_arguments
from hack.loadtest.result_stats import ResultStats
from hack.loadtest.vegeta import Attack
from hack.localcluster.errors import ClusterError
from hack.localcluster.paths import find_paths
from hack.testkit import cli
from hack.testkit.go_programs import build_program
from hack.testkit.kube_client import ROOT, connect_to_clone_cluster
from hack.testkit.service_access import open_service


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the requests; the exit code is 0 if at least one succeeded."""
    plan = parse_arguments(arguments)
    return cli.run_command(lambda: _run(plan), ClusterError)


def _run(plan: LoadPlan) -> int:
    kube = connect_to_clone_cluster(find_paths(ROOT, os.environ), plan.namespace)
    vegeta = str(build_program("vegeta"))
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
