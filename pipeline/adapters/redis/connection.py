"""One way to reach Redis: short time-outs, no hidden retries, and one error for everything that means "later"."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)

from pipeline.ports import StoreDown

ANSWER_S = 2.0
CONNECT_S = 1.0
_LATER = (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
    OSError,
    asyncio.TimeoutError,
)


def connect(url: str) -> Redis:
    """A client whose calls end within ANSWER_S and are never repeated behind the caller's back."""
    return Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=CONNECT_S, retry=Retry(NoBackoff(), 0))


@contextmanager
def store_down_as_such() -> Iterator[None]:
    """Turn whatever means "the store does not answer now" into `StoreDown`; other errors are bugs and pass."""
    try:
        yield
    except _LATER as error:
        raise StoreDown(f"{type(error).__name__}: {error}") from error
