"""One way to reach Redis: short time-outs, no hidden retries, and one error for everything that means "later".

TLS is a matter of the URL: ``rediss://``, with ``ssl_ca_certs``, ``ssl_certfile`` and ``ssl_keyfile`` as parameters.
"""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from pipeline.adapters.redis.rights import Rights, missing
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

_REFUSED_FOR_NOW = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")
"""How a server says that it takes no writes just now: its disk is full, or too few replicas hear it."""


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
    except ResponseError as error:
        if not str(error).startswith(_REFUSED_FOR_NOW):
            raise
        raise StoreDown(str(error).partition(" script:")[0]) from error


async def refusal(url: str, rights: Rights, prefix: str) -> str | None:
    """Why the server turns us away, in a sentence without secrets; None when it lets us do everything in ``rights``
    below ``prefix``, or when it does not answer (then waiting may help)."""
    client = connect(url)
    try:
        lacking = await missing(client, rights, prefix)
    except NoPermissionError as error:
        return f"gives this user too few rights: {error}"
    except AuthenticationError as error:
        return f"refuses this user or password: {error}"
    except _LATER as error:
        return _about_tls(error)
    finally:
        await client.aclose()
    patterns = " ".join(f"{prefix}{pattern}" for pattern in rights.keys)
    return f"does not allow this user {', '.join(lacking)} on {patterns}" if lacking else None


def _about_tls(error: BaseException | None) -> str | None:
    """What lies under a failed connection, if TLS does."""
    while error is not None:
        match error:
            case ssl.SSLCertVerificationError():
                return f"has a certificate that is not trusted ({error.verify_message}): is ssl_ca_certs its CA?"
            case ssl.SSLError():
                return f"does not speak TLS with us ({error.reason}): see ssl_certfile and ssl_keyfile, or its port"
            case FileNotFoundError() | PermissionError():
                return f"cannot be reached with a file that the URL names: {error.strerror}"
        error = error.__cause__ or error.__context__
    return None
