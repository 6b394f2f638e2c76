"""Splits a stream of bytes into lines of bounded length: the framing of a watch."""

import logging
from collections.abc import AsyncIterable, AsyncIterator

logger = logging.getLogger(__name__)


async def split_lines(chunks: AsyncIterable[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Yield every line without its end; an empty line, or one without an end, is left out.

    A line of more than ``max_bytes`` is skipped and logged, and never held whole. Reconnecting
    would not help: the server would send the same line again.
    """
    partial = bytearray()
    is_skipping = False
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = bytes(partial) + end if partial else end
            is_too_long = is_skipping or len(line) > max_bytes
            if is_too_long:
                logger.warning("skipped a line of more than %d bytes in a watch", max_bytes)
            partial.clear()
            is_skipping = False
            if line and not is_too_long:
                yield line
        if is_skipping or len(partial) + len(rest) > max_bytes:
            is_skipping = True
            partial.clear()
        else:
            partial += rest
