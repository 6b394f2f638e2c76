"""The benchmark: what the operator costs, beside the least that the same work can cost.

It asserts nothing and fails no build: ``make bench`` measures, prints a table and writes
``.artifacts/bench.json``. docs/benchmark.md explains the figures.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / ".artifacts"

# The operator's package lies in operator/, which must not become a package itself.
sys.path.insert(0, str(ROOT / "operator"))
