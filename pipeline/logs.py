"""Logging for every process: structlog to stderr, text for people or JSON for machines.

Libraries' own loggers are let through from warnings up: Faust and aiokafka tell every step of a rebalance.
"""

import logging
import sys

import structlog

from pipeline.settings import Settings

SAME_AGAIN_S = 5.0


class Repeats(logging.Filter):
    """Lets one line of a kind through in `SAME_AGAIN_S`: a broker that is away is good for a hundred a second."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.name, str(record.msg))
        if record.created < self._told.get(kind, 0.0) + SAME_AGAIN_S:
            return False
        self._told[kind] = record.created
        return True


def set_up(settings: Settings, role: str, worker: int | None = None) -> None:
    """Configure once per process; every line names the role, and the worker where there are several."""
    who: dict[str, str | int] = {"role": role} if worker is None else {"role": role, "worker": worker}
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(
        stream=sys.stderr,
        level=max(level, logging.WARNING),
        format="%(levelname)s %(name)s %(message)s" + "".join(f" {name}={value}" for name, value in who.items()),
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(**who)
