"""What other systems are told: one event for each step of a contact, for each change of a customer's tags, and when a
customer is to be erased.

An event's id is derived from the record alone, so the same record read again is recognisably the same event. What leaves
the house is less than what the topics hold: no scores, free text masked, and nothing at all of a record whose
identifiers are card or telephone numbers.
"""

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Literal, NamedTuple, get_args

import msgspec

from pipeline.core.masking import holds_card_number, mask
from pipeline.core.moments import rfc3339
from pipeline.core.records import ContactStep, CustomerState
from pipeline.core.topics import CONTACTS, CUSTOMER_STATE, Record, Topic

EventType = Literal["contact.step", "contact.complaint", "customer.tags", "customer.erased"]
Unusable = Literal["not_a_contact_step", "not_a_customer_state", "holds_card_number", "holds_phone_number"]
UNUSABLE: tuple[Unusable, ...] = get_args(Unusable)
_TELEPHONE = re.compile(r"\+[0-9]{7,15}")

_steps = msgspec.json.Decoder(ContactStep)
_states = msgspec.json.Decoder(CustomerState)


class CustomerTags(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is told of ``customer-state``: everything but the risk, and of the activity its level."""

    customer: str
    tags: list[str] = []
    activity: str | None = None
    as_of: str


class CustomerErased(msgspec.Struct, kw_only=True):
    """What is told when the record of ``customer-state`` is erased: that what is known of this customer is to go."""

    customer: str
    as_of: str


class CrmEvent(NamedTuple):
    """One thing another system is told. ``customer``: whose order of events must be kept; ``time``: RFC 3339."""

    id: str
    type: EventType
    customer: str | None
    time: str
    data: ContactStep | CustomerTags | CustomerErased


class NotForOthers(ValueError):
    """Why a record is told to nobody: one of `UNUSABLE`, the field to blame, and a sentence without values."""

    def __init__(self, reason: Unusable, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.field = field
        self.detail = detail


def read_step(record: Record) -> CrmEvent:
    """The event of a record of ``contacts``. Raises NotForOthers."""
    value = record.value or b""
    try:
        step = _steps.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotForOthers("not_a_contact_step", None, f"not a step of a contact: {mask(str(error))}") from error
    _refuse_numbers(
        contact=step.contact, customer=step.customer, **{f"subject {k}": v for k, v in step.subject.items()}
    )
    if not _is_moment(step.time):
        raise NotForOthers("not_a_contact_step", "time", "time is no RFC 3339 time with a zone")
    if step.reason is not None:
        step.reason = mask(step.reason)
    name = f"{step.contact}:{step.step}:{step.attempt or 0}:{_digest(value)}"
    complains = (
        step.step == "answered" and step.answer == "complaint"
    )  # the steps that follow from it have the answer too
    told: EventType = "contact.complaint" if complains else "contact.step"
    return CrmEvent(name, told, step.customer, step.time, step)


def read_state(record: Record) -> CrmEvent:
    """The event of a record of ``customer-state``; a null record erases the customer its key names. Raises
    NotForOthers."""
    if record.value is None:
        return _erased(record)
    try:
        state = _states.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotForOthers("not_a_customer_state", None, f"not a customer's state: {mask(str(error))}") from error
    _refuse_numbers(customer=state.customer)
    if not _is_moment(state.as_of):
        raise NotForOthers("not_a_customer_state", "as_of", "as_of is no RFC 3339 time with a zone")
    told = CustomerTags(
        customer=state.customer,
        tags=[mask(tag) for tag in state.tags],
        activity=None if state.activity is None else state.activity.level,
        as_of=state.as_of,
    )
    name = f"{state.customer}:tags:{_digest(record.value)}"
    return CrmEvent(name, "customer.tags", state.customer, state.as_of, told)


def _erased(record: Record) -> CrmEvent:
    try:
        customer = (record.key or b"").decode()
    except UnicodeDecodeError:
        customer = ""
    if not customer:
        raise NotForOthers("not_a_customer_state", "customer", "a null record must have the customer as its key")
    _refuse_numbers(customer=customer)
    time = rfc3339(record.timestamp / 1000)
    name = f"{customer}:erased:{_digest(time.encode())}"
    return CrmEvent(name, "customer.erased", customer, time, CustomerErased(customer=customer, as_of=time))


READERS: dict[Topic, Callable[[Record], CrmEvent]] = {CONTACTS: read_step, CUSTOMER_STATE: read_state}


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _digest(value: bytes) -> str:
    return blake2b(value, digest_size=6).hexdigest()


def _refuse_numbers(**identifiers: str | None) -> None:
    """An identifier can't be masked and still identify."""
    for field, text in identifiers.items():
        if text is None:
            continue
        if holds_card_number(text):
            raise NotForOthers("holds_card_number", field, f"{field} is a clear card number")
        if _TELEPHONE.fullmatch(text):
            raise NotForOthers("holds_phone_number", field, f"{field} is a telephone number")
