"""The page of model answers computes with the measurements that the lab has recorded."""

import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
LAB = ROOT / "docs" / "lab"
PAGES = [LAB / "answers.md", LAB / "zh" / "answers.md"]
ROW = re.compile(
    r"(?P<pods>\d+) (?:pods?|个 Pod)[,，] ?cpu (?P<cpu>\d+)%/(?P<target>\d+)% \| "
    r"(?P<formula>\d+ × \d+ ÷ \d+) = (?P<exact>[\d.]+)\D+(?P<wanted>\d+) \| (?P<result>\d+)"
)
MAX_REPLICAS = 5


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_the_autoscaler_s_numbers_are_recorded_and_computed_right(page: Path) -> None:
    recorded = (LAB / "05-scaling.md").read_text(encoding="utf-8")
    rows = list(ROW.finditer(page.read_text(encoding="utf-8")))

    assert 3 == len(rows)
    for row in rows:
        pods, cpu, target = int(row["pods"]), int(row["cpu"]), int(row["target"])
        result = min(math.ceil(pods * cpu / target), MAX_REPLICAS)
        assert f"{pods} × {cpu} ÷ {target}" == row["formula"]
        assert math.isclose(pods * cpu / target, float(row["exact"]))
        assert (math.ceil(pods * cpu / target), result) == (int(row["wanted"]), int(row["result"]))
        changes = rf"from {pods} to {result} pods? \(cpu {cpu}%/{target}%\)"
        assert re.search(changes, recorded), "take the numbers of page 5"
