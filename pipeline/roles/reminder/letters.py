"""Where records go that cannot be used."""

from collections.abc import Awaitable, Callable

from pipeline.core.topics import Topic
from pipeline.ports import Record

DeadLetters = Callable[[Topic, Record, str, str | None, str], Awaitable[None]]
"""Topic, record, reason, field to blame, detail for people (no values)."""
