"""What another system asks to have told: one record of ``contact-requests`` held to the table of messages.

What cannot be told as it stands is refused as a whole, with the field to blame, before any conversation begins.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.core.contact_facts import moment_ms
from pipeline.core.contact_policy import ContactClass
from pipeline.core.conversation import Alert, Channel, Conversation, contact_id
from pipeline.core.ladders import Plans
from pipeline.core.masking import holds_card_number, mask
from pipeline.core.matters import About, Matter, most_urgent
from pipeline.core.records import ContactRequest
from pipeline.core.texts_facts import KINDS, MONEY, TextRefused, plain_facts
from pipeline.core.texts_rules import RULES

PATIENCE_S: Mapping[ContactClass, float] = {
    "fraud": 86_400.0,
    "service": 86_400.0,
    "reminder": 86_400.0,
    "collection": 172_800.0,
    "marketing": 259_200.0,
}
"""How long a request without ``expires_at`` is worth telling, by class; from ``not_before`` on, where it has one."""
CARD = "card"
"""The one variable that is no fact: whose last four digits are said."""
OURS = frozenset({"bank", "count"})
"""Facts that we add."""
MANY = "_many"
"""Ends the name of the template that tells several matters at once."""
VOICEMAIL = "voicemail"
TEMPLATES: Mapping[str, frozenset[str]] = {
    class_: frozenset({"notice"})  # the class's other texts ask about a payment, or answer an answer
    if class_ == "fraud"
    else frozenset(
        part
        for (of, _, part), row in RULES.items()
        if of == class_ and row.stage == "before" and part != VOICEMAIL and not part.endswith(MANY)
    )
    for class_ in PATIENCE_S
}
"""Class → what may be asked for."""
_decoder = msgspec.json.Decoder(ContactRequest)
_encoder = msgspec.json.Encoder()
_AT = re.compile(r" - at `\$\.(?:\.\.\.)?(\w+)")
_MISSING = re.compile(r"required field `(\w+)`")


class BadRequest(ValueError):
    """Why a request cannot be met: the field, if one is to blame, and what is wrong; no values."""

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class Wanted(NamedTuple):
    """A request that can be met. ``channels`` may carry it, in the ladder's order."""

    customer: str
    class_: ContactClass
    matter: Matter
    channels: tuple[Channel, ...]


def read_request(value: bytes | None) -> ContactRequest:
    """Raises BadRequest."""
    try:
        request = _decoder.decode(value or b"")
        clear = holds_card_number((value or b"").decode()) or holds_card_number(_encoder.encode(request).decode())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        named = _AT.search(str(error)) or _MISSING.search(str(error))
        raise BadRequest(named[1] if named else None, mask(f"not a contact request: {error}")) from error
    if clear:
        raise BadRequest(None, "the record holds a clear card number")
    return request


def wanted(request: ContactRequest, now_ms: int, said_ms: int, plans: Plans) -> Wanted:
    """What is to be told. Raises BadRequest; of one that expired (field ``expires_at``) see `expired`."""
    if not request.customer:
        raise BadRequest("customer", "no customer is named")
    from_ms, until_ms = worth_ms(request, said_ms)
    if until_ms <= now_ms or until_ms <= from_ms:
        raise BadRequest("expires_at", "the request has expired, or does so before it may be told")
    if request.template not in TEMPLATES[request.class_]:
        known = ", ".join(sorted(TEMPLATES[request.class_]))
        raise BadRequest("template", f"class {request.class_} has no such template: it has {known}")
    _check_variables(request.variables)
    channels = _channels(request, plans)
    variables = {name: value for name, value in request.variables.items() if name != CARD}
    card = request.variables.get(CARD, "")
    matter = Matter(
        id=request.id,
        about="request" if request.bill is None else "statement",
        template=request.template,
        variables=variables,
        card=card,
        from_ms=from_ms,
        until_ms=until_ms,
        said_ms=said_ms,
        bill=request.bill,
    )
    return Wanted(request.customer, request.class_, matter, channels)


def taken_back(request: ContactRequest, said_ms: int, plans: Plans) -> Wanted | None:
    """What a withdrawal is about, all that has to be known of it; None: nothing of this class can be told."""
    channels = plans.channels(request.class_)
    if not request.customer or not channels:
        return None
    about: About = "request" if request.bill is None else "statement"
    matter = Matter(
        id=request.id, about=about, template=request.template, until_ms=said_ms, said_ms=said_ms, bill=request.bill
    )
    return Wanted(request.customer, request.class_, matter, channels)


def worth_ms(request: ContactRequest, said_ms: int) -> tuple[int, int]:
    """From when and until when it is worth telling. Raises BadRequest."""
    from_ms = _moment("not_before", request.not_before) or 0
    until_ms = _moment("expires_at", request.expires_at)
    if until_ms is None:
        until_ms = max(said_ms, from_ms) + round(PATIENCE_S[request.class_] * 1000)
    return from_ms, until_ms


def expired(request: ContactRequest, now_ms: int) -> bool:
    """Whether the request says that it need not be told any more."""
    until_ms = moment_ms(request.expires_at) if request.expires_at else None
    return until_ms is not None and until_ms <= now_ms


def contact_of(customer: str, name: str) -> str:
    """The conversation of a request: the same however often it is delivered, whether it is about a bill or not."""
    return contact_id(f"request\n{customer}", name)


def begun(contact: str, wish: Wanted, prefers: str, source_ms: int) -> Conversation:
    """A conversation about to receive its first matter."""
    return Conversation(
        id=contact,
        card="",
        customer=wish.customer,
        class_=wish.class_,
        channels=wish.channels,
        prefers=prefers,
        source_ms=max(source_ms, wish.matter.from_ms),
    )


def words_of(matters: Sequence[Matter], facts: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """The template that tells ``matters`` (at least one), and its facts: those of the one, or how many they are and the
    earliest day; of several payments that are due the words of the most urgent. ``facts``: those we add."""
    if len(matters) == 1:
        return matters[0].template, {**matters[0].variables, **facts}
    days = [str(each.variables["due"]) for each in matters if each.variables.get("due")]
    whole = len(days) == len(matters)
    template = most_urgent(matter.template for matter in matters)
    return template + MANY, {**facts, "count": len(matters), "due": min(days) if whole else None}


def may_join(class_: str, matter: Matter, channels: Sequence[str]) -> bool:
    """Whether a template tells several such matters on every one of the channels."""
    return all((class_, channel, matter.template + MANY) in RULES for channel in channels)


def _moment(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = moment_ms(text)
    if found is None:
        raise BadRequest(field, "not a moment: write it as 2026-11-23T14:05:00+08:00")
    return found


def _check_variables(variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        field = f"variables.{name}" if name in KINDS or name == CARD else "variables"
        if name == CARD:
            if not isinstance(value, str):
                raise BadRequest(field, "card must be a card's token")
        elif name not in KINDS or name in OURS:
            known = ", ".join(sorted(KINDS.keys() - OURS | {CARD}))
            raise BadRequest(field, f"there is no variable of a name that was given: there are {known}")
        else:
            try:
                plain_facts({name: value})
            except TextRefused as refused:
                raise BadRequest(field, refused.reason) from refused


def _channels(request: ContactRequest, plans: Plans) -> tuple[Channel, ...]:
    """Those of the ladder that have the template and all it must name. Raises BadRequest if there are none."""
    ladder = plans.channels(request.class_)
    if not ladder:
        raise BadRequest("class", "the contact profile has no ladder for this class")
    allowed = plans.channels(request.class_, request.channels)
    if not allowed:
        raise BadRequest("channels", f"the ladder of this class has none of them: it has {', '.join(ladder)}")
    told = [channel for channel in allowed if (request.class_, channel, request.template) in RULES]
    if not told:
        raise BadRequest("template", f"there is no such text for {', '.join(allowed)}")
    given = {name for name, value in request.variables.items() if value not in (None, "")} | {"bank"}
    if CARD in given:
        given.add("last4")
    if "currency" not in given:
        given -= MONEY  # an amount without its currency cannot be said
    whole = [channel for channel in told if RULES[request.class_, channel, request.template].must <= given]
    if not whole:
        lacking = sorted(RULES[request.class_, told[0], request.template].must - given)
        raise BadRequest("variables", f"the template needs {', '.join(lacking)}")
    return tuple(whole)


def notice_of(alert: Alert, card: str, now_ms: int, patience_s: float) -> Matter:
    """What the customer is to know of a payment that is not asked about, for so long."""
    facts = {"amount": alert.amount, "currency": alert.currency, "merchant": alert.merchant}
    return Matter(
        id=alert.id,
        about="alert",
        template="notice",
        variables={name: value for name, value in facts.items() if value is not None},
        card=card,
        until_ms=now_ms + round(patience_s * 1000),
    )
