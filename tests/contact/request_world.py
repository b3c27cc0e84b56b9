"""Requests of other systems and notices, told as scripts of small words, in simulated time."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cascade_world import CARD, LADDER, Cascade, cardholder, cascade_config
from contact_world import Read, decision, with_ladder

from pipeline.core.conversation import contact_id
from pipeline.core.requests import contact_of

TOLD = """
[[ladder]]
classes = ["service", "marketing"]
channel = "sms"
wait_s = 300.0

[[ladder]]
classes = ["reminder"]
channel = "sms"
wait_s = 300.0

[[ladder]]
classes = ["reminder"]
channel = "voice"
number = "mobile"

[[ladder]]
classes = ["collection"]
channel = "sms"
wait_s = 300.0

[[ladder]]
classes = ["collection"]
channel = "voice"
number = "mobile"
"""
TEMPLATES: dict[str, tuple[str, dict[str, Any]]] = {
    "service": ("transaction_done", {"card": CARD, "amount": 123450, "currency": "CNY"}),
    "limit": ("limit_changed", {"card": CARD, "limit": 2_000_000, "currency": "CNY"}),
    "reminder": ("due", {"card": CARD, "due": "2026-03-05", "minimum": 20_000, "currency": "CNY"}),
    "collection": ("overdue", {}),
    "marketing": ("offer", {"offer": "Lounges."}),
}
"""What a script's word asks for; ``limit`` is of class service too."""


def request_config(path: Path, more: str = "") -> Path:
    """The configuration of the cascade, with a ladder for every class. ``more``: TOML put behind it."""
    config = cascade_config(path, more)
    profile = config / "contact" / "demo.toml"
    profile.write_text(with_ladder(profile.read_text(encoding="utf-8"), LADDER + TOLD), encoding="utf-8")
    return config


def holder(name: str, **more: Any) -> Read:
    """The record of a customer of this name, a cardholder as cu1 is."""
    return replace(cardholder(customer=name, **more), key=name.encode())


def asked_for(kind: str, name: str, at: float, **more: Any) -> Read:
    """A record of contact-requests, of customer cu1 and logged at ``at``."""
    template, variables = TEMPLATES[kind]
    value = {
        "id": name,
        "customer": "cu1",
        "class": "service" if kind == "limit" else kind,
        "template": template,
        "variables": variables,
        **more,
    }
    return Read(msgspec.json.encode(value), str(value["customer"]).encode(), timestamp=round(at * 1000))


class Requests(Cascade):
    """One worker, its carriers and a cardholder to be told things. A script's ``request`` verb names the kind and, if it is
    not r1, the id: its contact is the one told about from then on."""

    def __init__(self, config: Path, **more: Any) -> None:
        super().__init__(config)
        self.more = more
        self.marked = ""

    async def do_mark(self, word: str) -> None:
        await super().do_mark(word)
        self.marked = self.contact

    async def begin(self) -> None:
        await super().begin()
        if self.more:
            await self.role.customers([cardholder(**self.more)])

    def told(self) -> list[str]:
        """The contact's steps with their answers or reasons."""
        steps = [step for step in self.world.log.values("contacts") if step["contact"] == self.contact]
        return [": ".join([step["step"], *_why(step)]) for step in steps]

    def texts_sent(self) -> list[str]:
        return [getattr(order, "text", "") for order in self.made]

    async def _request(self, word: str, **more: Any) -> None:
        kind, _, name = word.partition(" ")
        self.contact = contact_of("cu1", name or "r1")
        await self.role.requests([asked_for(kind, name or "r1", self.world.clock.now(), **more)])

    async def do_request(self, word: str) -> None:
        await self._request(word)

    async def do_also(self, word: str) -> None:
        """Another request, while the story goes on about the one before."""
        contact = self.contact
        await self._request(word)
        self.contact = contact

    async def do_tomorrow(self, word: str) -> None:
        """A request not to be told for a day."""
        await self._request(word, not_before=_moment(self.world.clock.now() + 86_400))

    async def do_brief(self, word: str) -> None:
        """A request that is worth telling for an hour."""
        await self._request(word, expires_at=_moment(self.world.clock.now() + 3600))

    async def do_reword(self, word: str) -> None:
        """The request again, with another day."""
        kind, _, name = word.partition(" ")
        variables = TEMPLATES[kind][1] | {"due": "2026-03-09"}
        await self._request(f"{kind} {name}".strip(), variables=variables)

    async def do_withdraw(self, word: str) -> None:
        """The request again, expired."""
        await self._request(word, expires_at=_moment(self.world.clock.now() - 1))

    async def do_notice(self, word: str) -> None:
        """A decision of which the customer is only to know."""
        self.contact = contact_id(CARD, "tx1")
        await self.role.polled({0: [decision("tx1", "notify", self.offset, card=CARD)]})
        self.offset += 1

    async def do_receipt(self, word: str) -> None:
        """What the carrier says of the text sent last."""
        report = list(self.texts.reports.values())[-1]
        await self.role.reported(report._replace(status=word))

    async def do_customer(self, word: str) -> None:
        if word == "back":
            await self.role.customers([cardholder(**self.more)])
        else:
            await super().do_customer(word)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _why(step: dict[str, Any]) -> Iterable[str]:
    return [str(why) for why in (step.get("answer") if step["step"] == "answered" else step.get("reason"),) if why]


def played(path: Path, script: str, cap: str = "", **customer: Any) -> Requests:
    """A story on a configuration of its own in ``path``; ``cap``: more TOML; ``customer``: facts of the record."""
    requests = Requests(request_config(path / "config", cap), **customer)
    asyncio.run(requests.play(script))
    return requests
