"""Ending the process at once, by name: the exit codes are part of the command line's documentation."""

import os
from typing import Any

import structlog

EXIT_CRASHED = 70
EXIT_STUCK = 75
EXIT_OUTSIDE_LOG = 78

log = structlog.get_logger()


def end_process(code: int, why: str, **facts: Any) -> None:
    """Leave at once, without tidying up: what is in memory may be ahead of what is acknowledged. A supervisor starts
    the process again, and it goes on from the last checkpoint."""
    log.critical(why, **facts)
    os._exit(code)
