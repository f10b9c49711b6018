"""Logs: the output of a run, so far or as it is written."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from headway.client.blocking import BlockingOperations, iterating
from headway.client.log_reader import LineTimer, LogLine, LogReader
from headway.client.operations import Operations
from headway.client.session import segment
from headway.model.job import TERMINAL, Job


class LogOperations(Operations):
    """Asynchronous operations on logs."""

    async def log(
        self, job_id: str, *, start: int = 0, end: int | None = None, tail: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The run's output so far, byte for byte, from byte `start` to before byte `end`.

        With `tail` instead: from the first line of its last `tail` bytes.
        """
        reader = LogReader(self._session, job_id)
        if tail is None:
            async with aclosing(reader.read(start, end)) as chunks:
                async for chunk in chunks:
                    yield chunk
        else:
            async with aclosing(reader.read_parts(tail)) as parts:
                async for part in parts:
                    yield part.data

    async def follow_log(
        self, job_id: str, *, tail: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The run's output as it is written, from its first byte (or `tail`) to its end."""
        async with aclosing(LogReader(self._session, job_id).follow(tail)) as parts:
            async for part in parts:
                yield part.data

    async def log_lines(
        self, job_id: str, *, follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[LogLine, None]:
        """The output so far (with `follow` to the run's end) by line, each with its time.

        While a run goes on whose middle was dropped, lines after the gap have an earlier time.
        """
        reader = LogReader(self._session, job_id)
        # The stream of a run that has ended counts in the log itself, as the times do.
        job = await self._session.ask(Job, "GET", f"/jobs/{segment(job_id)}")
        streamed = follow or job.status in TERMINAL
        timer = LineTimer(await reader.times())
        async with aclosing(reader.follow(tail) if streamed else reader.read_parts(tail)) as parts:
            async for part in parts:
                for line in timer.feed(part):
                    yield line
        for line in timer.end():
            yield line


class BlockingLogOperations(BlockingOperations):
    """The same, blocking."""

    log = iterating(LogOperations.log)
    follow_log = iterating(LogOperations.follow_log)
    log_lines = iterating(LogOperations.log_lines)
