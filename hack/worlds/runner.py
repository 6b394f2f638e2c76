"""Carries out worlds, side by side, and tells how far it is."""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hack.worlds import report
from hack.worlds.generator import draw_world
from hack.worlds.oracle import FaultScore, Verdict, judge
from hack.worlds.simulation import Simulation
from hack.worlds.story import tell_world

ARTIFACTS = Path(".artifacts")


def judge_world(seed: int, only: str = "") -> Verdict:
    """Carry out the world of a number with and without healing, and judge it.

    An error of the operator counts as harm.
    """
    world = draw_world(seed, only=only)
    off = Simulation(world.build_setting(), heals=False).run()
    try:
        on = Simulation(world.build_setting(), heals=True).run()
    except Exception as error:  # noqa: BLE001 - a finding, with its seed
        verdict = Verdict(seed, harm=[f"error of the operator: {type(error).__name__}: {error}"])
        verdict.scores = [
            FaultScore(p.fault.name, "unknown", False if p.fault.is_healable else None, None, 0)
            for p in world.placements
        ]
        return verdict
    return judge(world, off, on)


def _judge_task(task: tuple[int, str]) -> Verdict:
    return judge_world(*task)


def judge_worlds(seeds: Iterable[int], only: str, jobs: int) -> Iterator[Verdict]:
    """Judge worlds in several processes, in any order."""
    tasks = [(seed, only) for seed in seeds]
    if jobs == 1:
        yield from map(_judge_task, tasks)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(_judge_task, tasks, chunksize=4)


def main(arguments: list[str] | None = None) -> int:
    """Run; returns 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="make worlds", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000, help="how many worlds")
    parser.add_argument("--first", type=int, default=1, help="the number of the first one")
    parser.add_argument("--seed", type=int, help="tell the story of one world")
    parser.add_argument("--only", default="", help="only worlds with this fault")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        print(tell_world(options.seed, options.only))
        return 0
    seeds = range(options.first, options.first + options.worlds)
    verdicts: list[Verdict] = []
    begin = time.monotonic()
    for verdict in judge_worlds(seeds, options.only, options.jobs):
        verdicts.append(verdict)
        _show_progress(len(verdicts), options.worlds, time.monotonic() - begin, verdicts)
        if time.monotonic() - begin > options.seconds:
            break
    print(file=sys.stderr)
    verdicts.sort(key=lambda verdict: verdict.seed)
    summary = report.summarize(verdicts, time.monotonic() - begin)
    _write(summary, verdicts)
    print(report.to_markdown(summary))
    return 0 if report.meets_targets(summary) else 1


def _show_progress(done: int, total: int, elapsed: float, verdicts: list[Verdict]) -> None:
    if done % 20 and done != total:
        return
    rate = done / elapsed
    left = (total - done) / rate
    harmful = sum(bool(v.harm) for v in verdicts)
    locks = sum(bool(v.locks) for v in verdicts)
    end = "" if sys.stderr.isatty() else "\n"
    if end and done % 500 and done != total:
        return
    print(
        f"\r{done}/{total} worlds, {rate:.0f} a second, {left / 60:.1f} min left; "
        f"harmful {harmful}, locks {locks} ",
        end=end,
        file=sys.stderr,
        flush=True,
    )


def _write(summary: dict[str, Any], verdicts: list[Verdict]) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    failures = [asdict(v) for v in verdicts if v.harm or v.locks]
    text = json.dumps({**summary, "failures": failures}, indent=1)
    (ARTIFACTS / "worlds.json").write_text(text, encoding="utf-8")
    (ARTIFACTS / "worlds.md").write_text(report.to_markdown(summary), encoding="utf-8")
