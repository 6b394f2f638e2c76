"""An HTTP response as the official client's transport returns it."""

from collections.abc import AsyncIterator, Iterable
from typing import Self


class FakeResponse:
    """A response whose body arrives in chunks.

    Attributes:
        headers: the headers of the response.
        read_chunks: the number of chunks that were read.
        is_closed: whether the response was closed.
    """

    def __init__(
        self, status: int, chunks: bytes | Iterable[bytes] = b"", error: Exception | None = None
    ) -> None:
        """The body ends with ``error``, if there is one."""
        self.status = status
        self.headers: dict[str, str] = {}
        self._chunks = [chunks] if isinstance(chunks, bytes) else chunks
        self._error = error
        self.read_chunks = 0
        self.is_closed = False

    @property
    def response(self) -> Self:
        """Stand for aiohttp's response."""
        return self

    @property
    def content(self) -> Self:
        """Stand for aiohttp's stream."""
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the chunks."""
        for chunk in self._chunks:
            self.read_chunks += 1
            yield chunk
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close the connection."""
        self.is_closed = True
