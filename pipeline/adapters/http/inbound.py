"""Where the bank's own front ends meet open conversations: the telephone menu, the app, the agent's desk.

``GET /contacts/open?card=`` answers whether somebody is asked about a card now, which also answers "is this really my
bank?"; ``POST /contacts/{id}/answer`` takes the answer, of a promise
with ``by`` (a day) and ``amount`` (minor units). Each front end has a key of its own, and the key alone says how
well it proves who answers: a telephone menu cannot claim an agent's word. Answers: 401 without a key, 403 for a browser's
page, 404 for a conversation nobody knows, 503 for "again later".
"""

import hmac
from collections.abc import Mapping
from datetime import date
from typing import Annotated, NamedTuple, Protocol

import msgspec
import structlog
from aiohttp import web

from pipeline.core.conversation import Answered, Conversation, Event
from pipeline.core.masking import holds_card_number
from pipeline.core.moments import rfc3339
from pipeline.core.records import AnswerWord, Assurance
from pipeline.ports import StoreDown

MAX_ALERTS = 1000
"""Named by one answer."""
log = structlog.get_logger()


class FrontEnd(NamedTuple):
    """Who calls: the channel their answers are recorded under, and how far these are believed."""

    channel: str
    assurance: Assurance


FRONT_ENDS: Mapping[str, FrontEnd] = {
    "ivr": FrontEnd("voice", "voice"),
    "app": FrontEnd("app", "app"),
    "agent": FrontEnd("agent", "agent"),
}


class OpenContacts(Protocol):
    """What the contact role knows and takes."""

    async def open_for(self, card: str) -> Conversation | None: ...

    async def answered(self, contact: str, event: Event) -> str | None:
        """ "taken", or why it changed nothing; None: there is no such conversation."""

    async def promised(self, contact: str) -> int | None:
        """Until when people have promised to call back, unix milliseconds."""


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    answer: AnswerWord
    attempt: Annotated[int, msgspec.Meta(ge=1)] | None = None
    alerts: Annotated[list[str], msgspec.Meta(max_length=MAX_ALERTS)] = []
    by: date | None = None
    amount: Annotated[int, msgspec.Meta(gt=0)] | None = None


_decoder = msgspec.json.Decoder(_Given)


class Inbound:
    """The two routes. ``keys``: bearer key → the front end that holds it; without keys nobody gets in."""

    def __init__(self, contacts: OpenContacts, keys: Mapping[bytes, FrontEnd]) -> None:
        self._contacts = contacts
        self._keys = dict(keys)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/contacts/open", self._open)
        app.router.add_post("/contacts/{contact}/answer", self._answer)

    def _front_end(self, request: web.Request) -> FrontEnd:
        if "Origin" in request.headers:
            raise web.HTTPForbidden(text="not for browsers")
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode("utf-8", "replace")
        found = [who for key, who in self._keys.items() if hmac.compare_digest(key, given)]
        if not found:
            log.warning("a front end without a key was turned away", path=request.match_info.route.resource)
            raise web.HTTPUnauthorized(text="give the key of your front end: Authorization: Bearer …")
        return found[0]

    async def _open(self, request: web.Request) -> web.Response:
        self._front_end(request)
        card = request.query.get("card", "")
        if not card or holds_card_number(card):
            raise web.HTTPBadRequest(text="give ?card= with the card's token")
        try:
            conversation = await self._contacts.open_for(card)
        except StoreDown as error:
            raise web.HTTPServiceUnavailable(text="the store is away, ask again") from error
        return web.json_response({"open": False} if conversation is None else shown(conversation))

    async def _answer(self, request: web.Request) -> web.Response:
        who = self._front_end(request)
        try:
            given = _decoder.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise web.HTTPBadRequest(text=f"not an answer: {error}") from error
        contact = request.match_info["contact"]
        event = Answered(
            given.answer,
            who.channel,
            who.assurance,
            given.attempt,
            alerts=tuple(given.alerts),
            by=None if given.by is None else given.by.isoformat(),
            amount=given.amount,
        )
        promised_ms = None
        try:
            outcome = await self._contacts.answered(contact, event)
            if given.answer == "complaint":
                promised_ms = await self._contacts.promised(contact)
        except StoreDown as error:
            raise web.HTTPServiceUnavailable(text="the store is away, answer again") from error
        if outcome is None:
            raise web.HTTPNotFound(text="no conversation of this name")
        promise = {} if promised_ms is None else {"call_back_by": rfc3339(promised_ms / 1000)}
        return web.json_response({"outcome": outcome, **promise})


def shown(conversation: Conversation) -> dict[str, object]:
    """What a front end is told: enough to ask the question again, no phone number, no reasons."""
    attempts = conversation.attempts
    return {
        "open": True,
        "contact": conversation.id,
        "card": conversation.card,
        "state": conversation.state,
        "contacting_now": conversation.state in ("sending", "ringing", "unknown"),
        "channel": attempts[-1].channel if attempts else None,
        "attempt": conversation.attempt or None,
        "alerts": [
            {"id": alert.id, "amount": alert.amount, "currency": alert.currency, "merchant": alert.merchant}
            for alert in conversation.alerts
            if alert.verdict is None
        ],
    }
