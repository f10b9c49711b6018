"""What the server says on standard error: one event a line."""

import structlog

from web.log_stream import LogStream


def configure_logging(stream: LogStream, style: str, level: str) -> None:
    """For people on a terminal, JSON otherwise; `style` console or json says which."""
    for_people = style == "console" or (style == "auto" and stream.isatty())
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if for_people:
        # Local variables may hold secret parameters: no traceback shows them.
        tracebacks = structlog.dev.RichTracebackFormatter(show_locals=False)
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=tracebacks)
    else:
        told = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors.append(structlog.processors.ExceptionRenderer(told))
    processors.append(renderer)

    def notice(lines: int) -> str:
        event: object = {"event": "log lines dropped", "lines": lines}
        for process in processors:
            event = process(None, "warning", event)  # type: ignore[arg-type]
        return f"{event}\n"

    stream.notice = notice
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
