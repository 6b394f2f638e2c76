"""The benchmark: what the operator costs beside the least that the same work can cost.

Nothing here is asserted and nothing decides a build: ``make bench`` measures, prints a table and
writes ``.artifacts/bench.json``. How to read it stands in docs/benchmark.md.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / ".artifacts"

# The operator's package lies in operator/, which must not become a package itself.
sys.path.insert(0, str(ROOT / "operator"))
