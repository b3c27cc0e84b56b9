"""What the desk's tests are told: records as a log would hand them over, and a desk listening on a free port."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pipeline.core.decision import Reason
from pipeline.desk.app import create_desk
from pipeline.desk.feed import Link
from pipeline.desk.projection import Projection
from pipeline.desk.serve import serve
from pipeline.desk.settings import DeskSettings

NOW_MS = 1_760_000_000_000
CARD = "tok_1_00000000feedbeef"
ACTIONS = {
    "approve": {},
    "notify": {"contact": "notify"},
    "review": {"queue": "review"},
    "verify": {"contact": "verify"},
    "hold": {"card": "hold", "scope": "all", "contact": "verify"},
    "decline": {"transaction": "decline"},
}


class Written(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Meaning(NamedTuple):
    name: str
    unit: str
    en: str
    zh: str


MEANINGS = (Meaning("amount_ratio", "", "amount against the card's usual", "金额与平时之比"),)


def decision(
    offset: int,
    outcome: str = "hold",
    timestamp_ms: int = NOW_MS,
    partition: int = 0,
    latency_ms: int = 5,
    **fields: Any,
) -> Written:
    content: dict[str, Any] = {
        "id": f"t{partition}-{offset}",
        "card": CARD,
        "customer": "c1",
        "time": "2025-10-09T08:53:20Z",
        "outcome": outcome,
        "actions": {"transaction": "approve", "card": "none", "contact": "none", "queue": "none"} | ACTIONS[outcome],
        "score": 0.07,
        "percentile": 99.996,
        "reasons": [{"code": "amount_high", "detail": {"times": 14}}],
        "policy_version": "p1",
        "model_version": "m1",
        "decided_at": "2025-10-09T08:53:20.005Z",
        "amount": 1_235_000,
        "currency": "CNY",
        "merchant_name": "Golden Dragon",
        "country": "HK",
        "features": {"amount_ratio": 14.2, "made_up": 3.0},
    } | fields
    headers = (
        ("source_offset", str(offset).encode()),
        ("source_timestamp", str(timestamp_ms - latency_ms).encode()),
        ("outcome", outcome.encode()),
    )
    return Written(partition, offset, timestamp_ms, CARD.encode(), json.dumps(content).encode(), headers)


def record(content: dict[str, Any], timestamp_ms: int = NOW_MS, offset: int = 0) -> Written:
    return Written(0, offset, timestamp_ms, None, json.dumps(content).encode())


def step(alert: str, name: str, timestamp_ms: int = NOW_MS, **fields: Any) -> Written:
    told = {"contact": f"k-{alert}", "subject": {"alert": alert}, "customer": "c1", "class": "fraud", "step": name}
    return record(told | {"time": "2025-10-09T08:53:21Z", "channel": "voice"} | fields, timestamp_ms)


def command(alert: str, name: str, identity: str, sequence: int = 1, timestamp_ms: int = NOW_MS) -> Written:
    told = {"id": identity, "card": CARD, "sequence": sequence, "command": name, "scope": "all", "alert": alert}
    return record(told, timestamp_ms)


def result(identity: str, done: bool = True) -> Written:
    return record({"id": identity, "done": done, "time": "2025-10-09T08:53:22Z"})


def say_en(reason: Reason) -> str:
    return f"Amount is {(reason.detail or {}).get('times')} times the usual"


def say_zh(reason: Reason) -> str:
    return f"金额是平时的 {(reason.detail or {}).get('times')} 倍"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class RunningDesk:
    """A desk on a free loopback port, in a thread of its own; a context manager that ends it."""

    def __init__(
        self, projection: Projection | None = None, now: Callable[[], float] | None = None, **settings: Any
    ) -> None:
        self.projection = Projection() if projection is None else projection
        self.link = Link.live
        self.settings = DeskSettings(**({"desk_port": 0} | settings))
        clock = {"now": now} if now else {}
        self.app = create_desk(
            self.projection,
            self.settings,
            {"en": say_en, "zh-CN": say_zh},
            MEANINGS,
            link=lambda: self.link,
            **clock,
        )
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        def listening(port: int) -> None:
            self.port = port
            self._listening.set()

        try:
            self._loop.run_until_complete(serve(self.app, self.settings, self._stop, listening))
        finally:
            self._loop.close()

    def __enter__(self) -> "RunningDesk":
        self._thread.start()
        assert self._listening.wait(10), "the desk did not begin to listen"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the desk did not end"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, act: Callable[[], object]) -> None:
        """Run ``act`` where the desk runs, and wait for it."""

        async def there() -> None:
            act()

        asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)

    def get(self, path: str, **headers: str) -> Answer:
        request = Request(
            self.address + path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        try:
            with urlopen(request, timeout=10) as response:
                return Answer(response.status, dict(response.headers), response.read().decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read().decode())
