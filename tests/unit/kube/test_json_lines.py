"""The lines of a watch: whatever the chunks, and however long a line."""

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.kube.json_lines import split_lines
from tests.unit.controller.fake_loop import run_on_fake_loop
from tests.unit.examples import scale_examples

LINE = st.binary(max_size=12).filter(lambda line: b"\n" not in line)


async def _iterate(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _split(chunks: Sequence[bytes], max_bytes: int) -> list[bytes]:
    return [bytes(line) async for line in split_lines(_iterate(chunks), max_bytes)]


@settings(max_examples=scale_examples(300))
@given(lines=st.lists(LINE), sizes=st.lists(st.integers(1, 9)), max_bytes=st.integers(1, 12))
def test_every_line_comes_once_and_long_ones_are_skipped(
    lines: list[bytes], sizes: list[int], max_bytes: int
) -> None:
    """However the stream is cut into chunks."""
    data = b"".join(line + b"\n" for line in lines)
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    chunks.append(data)

    expected = [line for line in lines if 0 < len(line) <= max_bytes]
    assert expected == run_on_fake_loop(lambda: _split(chunks, max_bytes))


async def test_a_line_without_an_end_is_no_line() -> None:
    """The connection broke in the middle of it."""
    assert [b"whole"] == await _split([b"whole\nhal"], 100)


async def test_a_huge_line_is_never_held_whole(caplog: pytest.LogCaptureFixture) -> None:
    """A gigabyte passes by, in chunks; what follows is read, and the log says so once."""
    chunk = b"x" * 2**16
    assert [b"next"] == await _split([*[chunk] * 16_384, b"\nnext\n"], 2**20)
    assert ["skipped a line of more than 1048576 bytes in a watch"] == [
        record.getMessage() for record in caplog.records
    ]
