"""An operator process is synced when its log says so since its last start."""

import sys
from pathlib import Path

from hack.testkit.operator_process import SYNCED_LINE, OperatorProcess


def test_an_earlier_start_does_not_count_however_long_its_lines_are(tmp_path: Path) -> None:
    """The log holds characters of several bytes."""
    log = tmp_path / "operator.log"
    log.write_text(f"{SYNCED_LINE} 1 apps {'…' * 500}\n", encoding="utf-8")
    process = OperatorProcess(
        [sys.executable, "-c", f"import time; print({SYNCED_LINE!r}, flush=True); time.sleep(60)"],
        {},
        log,
    )

    process.start()

    assert process.is_running()
    process.stop()
