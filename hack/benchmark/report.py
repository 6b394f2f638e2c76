"""What was measured, as rows: on the screen, as JSON and in the documentation."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hack.benchmark import ARTIFACTS, ROOT
from hack.benchmark.preflight import Json
from hack.benchmark.stats import Spread, percentile
from hack.scenarios.common import markdown_section

FILE = ARTIFACTS / "bench.json"
DOCUMENT = ROOT / "docs" / "benchmark.md"

MB = 1e6
RATIO_REACH = 1.3
LATENCY_REACH = 0.250
IDLE_REACH = 0.01
RESTART_REACH = 10.0
STOP_REACH = 2.0
MEMORY_BASE = 100 * MB
MEMORY_AN_APP = 20_000


@dataclass(frozen=True)
class Row:
    """One figure. ``reach`` is what it ought to be, ``met`` None where nothing is asked."""

    figure: str
    what: str
    value: str
    spread: str
    reach: str
    met: bool | None

    def cells(self) -> tuple[str, ...]:
        """The row's text."""
        met = {True: "yes", False: "NO", None: ""}[self.met]
        return self.figure, self.what, self.value, self.spread, self.reach, met


HEADINGS = ("", "what", "median", "min .. max (n)", "reach", "met")


def rows(results: Json) -> list[Row]:
    """All rows that the results give."""
    return [
        *_converge(results.get("converge", {})),
        *_latency(results.get("latency", {})),
        *_idle(results.get("idle")),
        *_restart(results.get("restart")),
        *_memory(results.get("memory", [])),
    ]


def _row(  # noqa: PLR0913, PLR0917 - the columns
    figure: str, what: str, values: list[float], unit: str, reach: str = "", most: float = 0.0
) -> Row:
    spread = Spread.of(values)

    def text(value: float) -> str:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:.{digits}f}{unit}"

    many = f"{text(spread.least)} .. {text(spread.most)} ({spread.count})"
    met = spread.middle <= most if reach else None
    return Row(figure, what, text(spread.middle), many, reach, met)


def _converge(results: Json) -> Iterable[Row]:
    for count, pairs in results.items():
        for kind, name in (("written", "all objects written"), ("ready", "all Ready")):
            ratios = [
                pair["operator"][f"{kind}Seconds"] / pair["raw"][f"{kind}Seconds"] for pair in pairs
            ]
            title = f"{count} apps, {name}: operator / raw loop"
            yield _row("a", title, ratios, "x", f"<= {RATIO_REACH}", RATIO_REACH)
            for side in ("raw", "operator"):
                seconds = [pair[side][f"{kind}Seconds"] for pair in pairs]
                yield _row("", f"  {side}", seconds, " s")
        cpu = [pair["operator"]["operatorCpuSeconds"] / int(count) * 1000 for pair in pairs]
        yield _row("", f"{count} apps: CPU of the operator an app", cpu, " ms")
        sent = [sum(pair["operator"]["operatorRequestsPerApp"].values()) for pair in pairs]
        yield _row("", f"{count} apps: requests of the operator an app", sent, "")


def _latency(results: Json) -> Iterable[Row]:
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
        measured = kind in {"single", "burst"}
        for share in (0.5, 0.99):
            found = percentile(values, share)
            reached = measured and share == 0.99
            yield Row(
                "b",
                f"pod change -> status, {name}: p{share * 100:.0f}",
                f"{found * 1000:.0f} ms",
                f"{min(values) * 1000:.0f} ms .. {max(values) * 1000:.0f} ms ({len(values)})",
                f"< {LATENCY_REACH * 1000:.0f} ms" if reached else "",
                found < LATENCY_REACH if reached else None,
            )
    if results.get("burst") and results.get("floor"):
        ours, bare = (
            percentile(results[kind]["fromRequestSeconds"], 0.99) for kind in ("burst", "floor")
        )
        yield Row("b", "  operator / bare client: p99", f"{ours / bare:.2f}x", "", "", None)


def _idle(result: Json | None) -> Iterable[Row]:
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
    yield Row("c", "  CPU, of one core", text, "", f"< {IDLE_REACH:.0%}", share < IDLE_REACH)
    relist = result["relistCpuSeconds"]
    whole = share + relist / result["relistIntervalSeconds"]
    what = f"  with its share of a relist ({relist:.2f} s of CPU every 5 min)"
    yield Row("", what, f"{whole:.2%}", "", f"< {IDLE_REACH:.0%}", whole < IDLE_REACH)


def _restart(result: Json | None) -> Iterable[Row]:
    if result is None:
        return
    runs = result["runs"]
    most = max(run["writes"] for run in runs)
    name = f"restart among {result['apps']} apps"
    yield Row("d", f"{name}: writes", str(most), f"({len(runs)})", "0", most == 0)
    done = [run["caughtUpSeconds"] for run in runs]
    reach = f"< {RESTART_REACH:.0f} s"
    yield _row("d", "  every app looked at after", done, " s", reach, RESTART_REACH)
    yield _row("", "  everything seen after", [run["knownSeconds"] for run in runs], " s")
    stops = [run["stopSeconds"] for run in runs]
    yield _row("d", "  stopped after", stops, " s", f"< {STOP_REACH:.0f} s", STOP_REACH)


def _memory(results: list[Json]) -> Iterable[Row]:
    base = next((r["rssBytes"] for r in results if r["apps"] == 0), None)
    for result in results:
        count, rss = result["apps"], result["rssBytes"]
        reach = MEMORY_BASE + MEMORY_AN_APP * count
        each = ""
        if base is not None and count:
            each = f", {(rss - base) / count / 1000:.1f} kB an app"
        when = " after a restart" if result.get("restarted") else ""
        yield Row(
            "e",
            f"RSS with {count} apps{when}",
            f"{rss / MB:.0f} MB",
            f"PSS {result['pssBytes'] / MB:.0f} MB, peak {result['peakBytes'] / MB:.0f} MB{each}",
            f"<= {reach / MB:.0f} MB",
            rss <= reach,
        )


def show(console: Console, report: Json) -> None:
    """Print the table."""
    table = Table(title="SelfHealingApp operator: benchmark")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("median", "reach") else "left")
    for row in rows(report["results"]):
        style = "red" if row.met is False else ""
        table.add_row(*row.cells(), style=style)
    console.print(table)


def save(report: Json) -> Path:
    """Write the JSON report."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(report, indent=1) + "\n")
    return FILE


def markdown(report: Json) -> str:
    """The table for the documentation, with what it was measured on."""
    machine, version = report["machine"], report["versions"]
    where = (
        f"Measured {report['started'][:10]} on {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memoryBytes'] / 2**30:.0f} GiB, Linux {machine['kernel']}, "
        f"Kubernetes {version['kubernetes']}, Python {machine['python']}, "
        f"kopf {version['kopf']}; commit {version['commit']}."
    )
    how = f"Raw loop at {report['results'].get('width', '?')} requests at once."
    lines = [
        where,
        f"{how} {_noise(report['noise'])}",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---|" * len(HEADINGS),
    ]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows(report["results"])]
    return "\n".join(lines)


def _noise(noise: list[Json]) -> str:
    loud = [entry for entry in noise if entry["busyShare"] >= 0.35]
    if not loud:
        return "The machine was quiet before every step."
    most = max(entry["busyShare"] for entry in loud)
    return (
        f"Noise: before {len(loud)} of {len(noise)} steps others kept the machine busy "
        f"(up to {most:.0%})."
    )


def main() -> int:
    """Put the table of the last run into docs/benchmark.md."""
    report = json.loads(FILE.read_text())
    markdown_section.fill(DOCUMENT, "bench", markdown(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
