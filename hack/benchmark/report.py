"""The results as rows of a table: on the screen, as JSON and in the documentation."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hack.benchmark import ARTIFACTS, ROOT
from hack.benchmark.stats import Spread, percentile
from hack.testkit import markdown_section
from hack.testkit.kube_client import Json

REPORT_FILE = ARTIFACTS / "bench.json"
DOCUMENT = ROOT / "docs" / "benchmark.md"

MB = 1e6
MAX_RATIO = 1.3
MAX_LATENCY = 0.250
MAX_IDLE_SHARE = 0.01
MAX_RESTART_SECONDS = 10.0
MAX_STOP_SECONDS = 2.0
BASE_MEMORY = 100 * MB
MEMORY_PER_APP = 20_000
MAX_TENANT_LATENCY = 1.0
MAX_TENANT_MEMORY = 341 * 2**20
"""Two thirds of the memory limit of deploy/operator.yaml."""


@dataclass(frozen=True)
class Row:
    """One figure. ``reach`` is what it ought to be, ``met`` None where nothing is asked."""

    figure: str
    title: str
    value: str
    spread: str
    target: str
    is_met: bool | None

    def format_cells(self) -> tuple[str, ...]:
        """The row's text."""
        met = {True: "yes", False: "NO", None: ""}[self.is_met]
        return self.figure, self.title, self.value, self.spread, self.target, met


HEADINGS = ("", "what", "median", "min .. max (n)", "reach", "met")


def build_rows(results: Json) -> list[Row]:
    """Return the rows of all results."""
    return [*build_app_rows(results), *build_tenant_rows(results)]


def build_app_rows(results: Json) -> list[Row]:
    """Return the rows of figures (a) to (e)."""
    return [
        *_convergence_rows(results.get("converge", {})),
        *_latency_rows(results.get("latency", {})),
        *_idle_rows(results.get("idle")),
        *_restart_rows(results.get("restart")),
        *_memory_rows(results.get("memory", [])),
    ]


def build_tenant_rows(results: Json) -> list[Row]:
    """Return the rows of figure (f)."""
    return list(_tenant_rows(results.get("tenants")))


def _spread_row(  # noqa: PLR0913, PLR0917 - the columns
    figure: str, title: str, values: list[float], unit: str, target: str = "", maximum: float = 0.0
) -> Row:
    spread = Spread.from_values(values)

    def text(value: float) -> str:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:.{digits}f}{unit}"

    spread_text = f"{text(spread.minimum)} .. {text(spread.maximum)} ({spread.count})"
    is_met = spread.median <= maximum if target else None
    return Row(figure, title, text(spread.median), spread_text, target, is_met)


def _convergence_rows(results: Json) -> Iterable[Row]:
    for count, pairs in results.items():
        for kind, name in (("written", "all objects written"), ("ready", "all Ready")):
            ratios = [
                pair["operator"][f"{kind}Seconds"] / pair["raw"][f"{kind}Seconds"] for pair in pairs
            ]
            title = f"{count} apps, {name}: operator / raw loop"
            yield _spread_row("a", title, ratios, "x", f"<= {MAX_RATIO}", MAX_RATIO)
            for side in ("raw", "operator"):
                seconds = [pair[side][f"{kind}Seconds"] for pair in pairs]
                yield _spread_row("", f"  {side}", seconds, " s")
        cpu = [pair["operator"]["operatorCpuSeconds"] / int(count) * 1000 for pair in pairs]
        yield _spread_row("", f"{count} apps: CPU of the operator an app", cpu, " ms")
        sent = [sum(pair["operator"]["operatorRequestsPerApp"].values()) for pair in pairs]
        yield _spread_row("", f"{count} apps: requests of the operator an app", sent, "")


def _latency_rows(results: Json) -> Iterable[Row]:
    names = {
        "single": "one pod at a time",
        "burst": "pods of many apps at once",
        "floor": "the same without an operator, one number written by a bare client",
        "followUp": "second change of an app after 0.1 s",
    }
    for kind, name in names.items():
        values: list[float] = results.get(kind, {}).get("fromRequestSeconds", [])
        if not values:
            continue
        is_measured = kind in {"single", "burst"}
        for share in (0.5, 0.99):
            value = percentile(values, share)
            has_target = is_measured and share == 0.99
            yield Row(
                "b",
                f"pod change -> status, {name}: p{share * 100:.0f}",
                f"{value * 1000:.0f} ms",
                f"{min(values) * 1000:.0f} ms .. {max(values) * 1000:.0f} ms ({len(values)})",
                f"< {MAX_LATENCY * 1000:.0f} ms" if has_target else "",
                value < MAX_LATENCY if has_target else None,
            )
    if results.get("burst") and results.get("floor"):
        operator_latency, baseline_latency = (
            percentile(results[kind]["fromRequestSeconds"], 0.99) for kind in ("burst", "floor")
        )
        yield Row(
            "b",
            "  operator / bare client: p99",
            f"{operator_latency / baseline_latency:.2f}x",
            "",
            "",
            None,
        )


def _idle_rows(result: Json | None) -> Iterable[Row]:
    if result is None:
        return
    seconds = result["seconds"]
    name = f"{seconds:.0f} s idle, {result['apps']} apps, {result['pods']} pods"
    writes = result["writes"]
    yield Row("c", f"{name}: writes", str(writes), "", "0", writes == 0)
    yield Row("", "  resources that changed meanwhile", str(result["changedApps"]), "", "", None)
    yield Row("", "  requests", str(sum(result["requests"].values())), "", "", None)
    share = result["cpuSeconds"] / seconds
    text = f"{share:.2%}"
    yield Row(
        "c", "  CPU, of one core", text, "", f"< {MAX_IDLE_SHARE:.0%}", share < MAX_IDLE_SHARE
    )
    relist = result["relistCpuSeconds"]
    total_share = share + relist / result["relistIntervalSeconds"]
    what = f"  with its share of a relist ({relist:.2f} s of CPU every 5 min)"
    yield Row(
        "", what, f"{total_share:.2%}", "", f"< {MAX_IDLE_SHARE:.0%}", total_share < MAX_IDLE_SHARE
    )


def _restart_rows(result: Json | None) -> Iterable[Row]:
    if result is None:
        return
    runs = result["runs"]
    max_writes = max(run["writes"] for run in runs)
    name = f"restart among {result['apps']} apps"
    yield Row("d", f"{name}: writes", str(max_writes), f"({len(runs)})", "0", max_writes == 0)
    done = [run["caughtUpSeconds"] for run in runs]
    reach = f"< {MAX_RESTART_SECONDS:.0f} s"
    yield _spread_row("d", "  every app looked at after", done, " s", reach, MAX_RESTART_SECONDS)
    yield _spread_row("", "  everything seen after", [run["knownSeconds"] for run in runs], " s")
    stops = [run["stopSeconds"] for run in runs]
    yield _spread_row(
        "d", "  stopped after", stops, " s", f"< {MAX_STOP_SECONDS:.0f} s", MAX_STOP_SECONDS
    )


def _memory_rows(results: list[Json]) -> Iterable[Row]:
    base = next((r["rssBytes"] for r in results if r["apps"] == 0), None)
    for result in results:
        count, rss = result["apps"], result["rssBytes"]
        target = BASE_MEMORY + MEMORY_PER_APP * count
        each = ""
        if base is not None and count:
            each = f", {(rss - base) / count / 1000:.1f} kB an app"
        when = " after a restart" if result.get("restarted") else ""
        yield Row(
            "e",
            f"RSS with {count} apps{when}",
            f"{rss / MB:.0f} MB",
            f"PSS {result['pssBytes'] / MB:.0f} MB, peak {result['peakBytes'] / MB:.0f} MB{each}",
            f"<= {target / MB:.0f} MB",
            rss <= target,
        )


def _tenant_rows(result: Json | None) -> Iterable[Row]:
    if result is None:
        return
    phases = {
        "alone": "alone",
        "fatObjects": f"with {result['namespaces']} namespaces of others, "
        f"{result['configObjects']} ConfigMaps and Secrets of 1 MiB",
        "flood": f"and {result['flood']['eventsPerSecond']} Events a second of one namespace",
        "logs": f"and {result['logs']['apps']} apps that log lines of 10 MB and run out of memory"
        f" (evidence of {result['logs']['evidence']})",
        "restart": f"and after a restart (synced in {result['restart']['syncedSeconds']:.1f} s)",
    }
    for name, title in phases.items():
        phase = result[name]
        values: list[float] = phase["fromRequestSeconds"]
        value = percentile(values, 0.99)
        yield Row(
            "f",
            f"pod change -> status, {title}: p99",
            f"{value * 1000:.0f} ms",
            f"{min(values) * 1000:.0f} ms .. {max(values) * 1000:.0f} ms ({len(values)})",
            f"< {MAX_TENANT_LATENCY * 1000:.0f} ms",
            value < MAX_TENANT_LATENCY,
        )
        yield Row(
            "f",
            "  peak RSS of the operator",
            f"{phase['peakBytes'] / 2**20:.0f} MiB",
            f"RSS {phase['rssBytes'] / 2**20:.0f} MiB, CPU {phase['cpuShare']:.1%} of one core",
            f"<= {MAX_TENANT_MEMORY / 2**20:.0f} MiB",
            phase["peakBytes"] <= MAX_TENANT_MEMORY,
        )
    survived = bool(result["survived"])
    yield Row("f", "  restarts under the load", "0" if survived else "1", "", "0", survived)


def print_table(console: Console, report: Json) -> None:
    """Print the table."""
    table = Table(title="SelfHealingApp operator: benchmark")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("median", "reach") else "left")
    for row in build_rows(report["results"]):
        style = "red" if row.is_met is False else ""
        table.add_row(*row.format_cells(), style=style)
    console.print(table)


def save_json(report: Json) -> Path:
    """Write the JSON report."""
    REPORT_FILE.parent.mkdir(exist_ok=True)
    REPORT_FILE.write_text(json.dumps(report, indent=1) + "\n")
    return REPORT_FILE


def render_markdown(report: Json, rows: Iterable[Row]) -> str:
    """Return a table of ``rows`` for the documentation, with the machine and the versions."""
    machine, version = report["machine"], report["versions"]
    machine_text = (
        f"Measured {report['started'][:10]} on {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memoryBytes'] / 2**30:.0f} GiB, Linux {machine['kernel']}, "
        f"Kubernetes {version['kubernetes']}, Python {machine['python']}, "
        f"kopf {version['kopf']}; commit {version['commit']}."
    )
    width = report["results"].get("width")
    method_text = f"Raw loop at {width} requests at once. " if width else ""
    lines = [
        machine_text,
        f"{method_text}{_describe_noise(report['noise'])}",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---|" * len(HEADINGS),
    ]
    lines += ["| " + " | ".join(row.format_cells()) + " |" for row in rows]
    return "\n".join(lines)


def _describe_noise(noise: list[Json]) -> str:
    busy_entries = [entry for entry in noise if entry["busyShare"] >= 0.35]
    if not busy_entries:
        return "The machine was quiet before every step."
    max_share = max(entry["busyShare"] for entry in busy_entries)
    return (
        f"Noise: before {len(busy_entries)} of {len(noise)} steps others kept the machine busy "
        f"(up to {max_share:.0%})."
    )


def main() -> int:
    """Write the tables of the last run into docs/benchmark.md; what it lacks stays as it is."""
    report = json.loads(REPORT_FILE.read_text())
    for section, build in (("bench", build_app_rows), ("tenants", build_tenant_rows)):
        rows = build(report["results"])
        if rows:
            text = render_markdown(report, rows) + "\n"
            markdown_section.replace_section(DOCUMENT, section, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
