"""How long a provider is left alone that has said "too many": as its ``Retry-After`` has it, in seconds or as a date."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from pipeline.ports import Clock

TOO_MANY = 429
LEAST_REST_S = 1.0
LONGEST_REST_S = 300.0


class Rest:
    """One provider's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s = 0.0

    @property
    def goes_on(self) -> bool:
        return self._clock.now() < self._until_s

    def after(self, status: int, retry_after: str | None) -> None:
        """Take note of an answer's status and its ``Retry-After``."""
        if status != TOO_MANY:
            return
        asked, now_s = retry_after or "", self._clock.now()
        if asked.isascii() and asked.isdigit() and len(asked) < 10:
            rest_s = float(asked)
        else:
            until_s = seconds_of(asked)
            rest_s = LEAST_REST_S if until_s is None else until_s - now_s
        self._until_s = now_s + min(max(rest_s, LEAST_REST_S), LONGEST_REST_S)


def seconds_of(written: str | None) -> float | None:
    """Unix seconds of an RFC 2822 date, the form of Twilio's and of HTTP's; None for anything else."""
    try:
        found = parsedate_to_datetime(written or "")
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
