"""Generated files are written, or compared with what would be written."""

from pathlib import Path

import pytest

from selfhealing.generated_files import write_or_compare


def test_only_stale_files_are_written(tmp_path: Path) -> None:
    """A file that is as it should be keeps its time, by which other tools go."""
    fresh, stale, missing = (tmp_path / name for name in ("fresh", "stale", "folder/missing"))
    fresh.write_text("text\n", encoding="utf-8")
    before = fresh.stat().st_mtime_ns
    stale.write_text("old\n", encoding="utf-8")

    files = dict.fromkeys((fresh, stale, missing), "text\n")

    assert 0 == write_or_compare(files, tmp_path, is_check=False)
    assert ["text\n"] * 3 == [path.read_text(encoding="utf-8") for path in files]
    assert before == fresh.stat().st_mtime_ns


def test_a_check_shows_the_difference_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale, missing = tmp_path / "stale", tmp_path / "missing"
    stale.write_text("same\nold\n", encoding="utf-8")

    assert 1 == write_or_compare({stale: "same\nnew\n", missing: "text\n"}, tmp_path, is_check=True)
    assert (
        "--- stale\n+++ generated\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n"
        "--- missing\n+++ generated\n@@ -0,0 +1 @@\n+text\n"
    ) == capsys.readouterr().out
    assert "same\nold\n" == stale.read_text(encoding="utf-8")
    assert not missing.exists()


def test_fresh_files_pass_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("text\n", encoding="utf-8")

    assert 0 == write_or_compare({file: "text\n"}, tmp_path, is_check=True)
    assert "" == capsys.readouterr().out


def test_a_file_elsewhere_is_shown_with_its_whole_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"

    assert 1 == write_or_compare({file: "text\n"}, tmp_path / "root", is_check=True)
    assert capsys.readouterr().out.startswith(f"--- {file}\n")
