"""The content of the server's log on standard error: one event a line."""

import logging

import structlog

from headway.terminal_text import clean
from web.process.log_stream import LogStream

LEVELS = logging.getLevelNamesMapping()


def neutralise(
    _: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace control characters, so that text of clients and programs steers no terminal."""
    return {key: clean(value) if isinstance(value, str) else value for key, value in event.items()}


class LogLevel:
    """A processor of structlog that drops less important events. It can be changed at any time."""

    def __init__(self, level: str) -> None:
        self.set(level)

    def set(self, level: str) -> None:
        """Set the least level: `debug`, `info`, `warning` or `error`."""
        self._least = LEVELS[level.upper()]

    def __call__(
        self, _: object, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Return the event, or drop it."""
        if LEVELS[method.upper()] < self._least:
            raise structlog.DropEvent
        return event


def configure_logging(stream: LogStream, style: str, level: str) -> LogLevel:
    """Configure structlog. `style`: `console`, `json`, or `auto` for console on a terminal only."""
    chosen = LogLevel(level)
    for_people = style == "console" or (style == "auto" and stream.isatty())
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if for_people:
        # Local variables may hold secret parameters: no traceback contains them.
        tracebacks = structlog.dev.RichTracebackFormatter(show_locals=False)
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=tracebacks)
        processors.append(neutralise)
    else:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors.append(structlog.processors.ExceptionRenderer(transformer))
    processors.append(renderer)

    def notice(lines: int) -> str:
        # Whatever the level is: lost lines may have been errors.
        event: object = {"event": "log lines dropped", "lines": lines}
        for process in processors:
            event = process(None, "warning", event)  # type: ignore[arg-type]
        return f"{event}\n"

    stream.notice = notice
    structlog.configure(
        processors=[chosen, *processors],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    return chosen
