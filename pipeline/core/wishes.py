"""What customers told us themselves, which counts at once and beside the bank's own record of them: a STOP, a number that
is somebody else's, a hardship; and that their numbers may have come into other hands, which the bank's other systems tell.
Kept as one note for each customer, for good; the bank's record may say more, never less.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from pipeline.core.records import AnswerWord, Customer


class Wishes(msgspec.Struct, frozen=True, omit_defaults=True):
    """``stop``: classes; ``retired``: digests of numbers that are not the customer's; ``protections``: names;
    ``doubtful_ms``: when somebody else may last have come to answer the customer's numbers."""

    stop: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    protections: tuple[Literal["hardship"], ...] = ()
    doubtful_ms: int | None = None


NONE = Wishes()
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Wishes)


def read_wishes(note: bytes) -> Wishes:
    """A customer's note; b"" is none."""
    return _decoder.decode(note) if note else NONE


def after_answer(wishes: Wishes, word: AnswerWord, class_: str, address: str | None) -> Wishes:
    """The wishes with what ``word`` adds. ``address``: digest of where the question went."""
    match word:
        case "stop" if class_ not in wishes.stop:
            return msgspec.structs.replace(wishes, stop=(*wishes.stop, class_))
        case "wrong_person" if address is not None and address not in wishes.retired:
            return msgspec.structs.replace(wishes, retired=(*wishes.retired, address))
        case "hardship" if "hardship" not in wishes.protections:
            return msgspec.structs.replace(wishes, protections=("hardship",))
    return wishes


DOUBTFUL = frozenset({"sim_swapped", "call_forwarded", "phone_changed"})
"""Customer events after which a customer's numbers are not trusted for a while."""


def after_event(wishes: Wishes, type_: str, at_ms: int) -> Wishes:
    """The wishes after a customer event of ``type_``. The newest doubt stands."""
    if type_ not in DOUBTFUL or at_ms <= (wishes.doubtful_ms or 0):
        return wishes
    return msgspec.structs.replace(wishes, doubtful_ms=at_ms)


def both(some: Wishes, more: Wishes) -> Wishes:
    """All that either says."""
    return Wishes(
        tuple(dict.fromkeys((*some.stop, *more.stop))),
        tuple(dict.fromkeys((*some.retired, *more.retired))),
        some.protections or more.protections,
        max((each.doubtful_ms for each in (some, more) if each.doubtful_ms is not None), default=None),
    )


def encode(wishes: Wishes) -> bytes:
    return _encoder.encode(wishes) if wishes != NONE else b""


def wished(customer: Customer, wishes: Wishes, is_of: Callable[[str, str], bool]) -> Customer:
    """The bank's record as the customer's own wishes leave it. ``is_of``: whether a number has a digest."""
    return msgspec.structs.replace(
        customer,
        stop=[*customer.stop, *wishes.stop],
        protections=[*customer.protections, *wishes.protections],
        phones=[
            phone for phone in customer.phones if not any(is_of(phone.number, digest) for digest in wishes.retired)
        ],
    )
