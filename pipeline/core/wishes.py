"""What customers told us themselves, which counts at once and beside the bank's own record of them: a STOP, a number that
is somebody else's, a hardship. Kept as one note for each customer, for good; the bank's record may say more, never less.
"""

from typing import Literal

import msgspec

from pipeline.core.records import AnswerWord, Customer


class Wishes(msgspec.Struct, frozen=True, omit_defaults=True):
    """``stop``: classes; ``retired``: digests of numbers that are not the customer's; ``protections``: names."""

    stop: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    protections: tuple[Literal["hardship"], ...] = ()


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


def encode(wishes: Wishes) -> bytes:
    return _encoder.encode(wishes) if wishes != NONE else b""


def wished(customer: Customer, wishes: Wishes, digest_of: dict[str, str]) -> Customer:
    """The bank's record as the customer's own wishes leave it. ``digest_of``: number → digest."""
    return msgspec.structs.replace(
        customer,
        stop=[*customer.stop, *wishes.stop],
        protections=[*customer.protections, *wishes.protections],
        phones=[phone for phone in customer.phones if digest_of[phone.number] not in wishes.retired],
    )
