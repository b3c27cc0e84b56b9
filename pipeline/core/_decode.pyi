from collections.abc import Callable, Container

from pipeline.core.transaction import Event, Transaction

class Quick:
    def __init__(
        self,
        decode: Callable[[bytes], Transaction],
        event: type[Event],
        currencies: Container[str],
        countries: Container[str | None],
        categories: Container[str | None],
        most_bytes: int,
        most_ahead: float,
        most_behind: float,
    ) -> None: ...
    def __call__(self, value: bytes, timestamp_ms: int, billing: str, rates: dict[str, float]) -> Event | None: ...
