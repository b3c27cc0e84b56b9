"""SMPP 3.4 on the wire: the protocol data units a client sends and understands.

Section and table numbers in the comments are those of "Short Message Peer to Peer Protocol Specification v3.4",
issue 1.2. Pure functions from values to octets and back; malformed octets raise Malformed.
"""

import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

GENERIC_NACK = 0x80000000
BIND_TRANSCEIVER = 0x00000009
QUERY_SM = 0x00000003
SUBMIT_SM = 0x00000004
DELIVER_SM = 0x00000005
UNBIND = 0x00000006
ENQUIRE_LINK = 0x00000015
RESPONSE = 0x80000000
"""Set in the command id of every answer (table 5-1)."""

OK = 0x00
INVALID_COMMAND_ID = 0x03
SYSTEM_ERROR = 0x08
QUEUE_FULL = 0x14
TEMPORARY_APPLICATION_ERROR = 0x64
UNKNOWN_ERROR = 0xFF

HEADER = struct.Struct(">IIII")
MAX_PDU = 70_000
"""A message_payload of 64 KiB and the fields around it."""
VERSION = 0x34
MAX_SHORT_MESSAGE = 254
ESM_UDH = 0x40
ESM_TYPE = 0x3C
ESM_RECEIPT = 0x04
ESM_INTERMEDIATE = 0x20
RECEIPT_ON_OUTCOME = 0x01

TLV_RECEIPTED_MESSAGE_ID = 0x001E
TLV_MESSAGE_PAYLOAD = 0x0424
TLV_MESSAGE_STATE = 0x0427

_SENDER = re.compile(r"\+[0-9]{3,20}|[0-9]{3,20}|[ -~]{1,11}")


class Malformed(ValueError):
    """Octets that are no SMPP."""


class Pdu(NamedTuple):
    """One unit: its header's fields and what follows."""

    command: int
    status: int
    sequence: int
    body: bytes = b""


class Endpoint(NamedTuple):
    """An address with its type of number and numbering plan (§5.2.5, §5.2.6)."""

    ton: int
    npi: int
    digits: str


class Delivered(NamedTuple):
    """What a deliver_sm brought (§4.6.1). ``message``: short_message or message_payload."""

    source: Endpoint
    destination: Endpoint
    esm_class: int
    data_coding: int
    message: bytes
    parameters: Mapping[int, bytes]


def encode(pdu: Pdu) -> bytes:
    return HEADER.pack(HEADER.size + len(pdu.body), pdu.command, pdu.status, pdu.sequence) + pdu.body


def body_length(header: bytes) -> int:
    """Octets that follow this header."""
    length: int = HEADER.unpack(header)[0]
    if not HEADER.size <= length <= MAX_PDU:
        raise Malformed(f"a command_length of {length}")
    return length - HEADER.size


def decode(header: bytes, body: bytes) -> Pdu:
    _, command, status, sequence = HEADER.unpack(header)
    return Pdu(command, status, sequence, body)


def _text(value: str, size: int) -> bytes:
    """A C-octet string of at most ``size`` octets, its end included."""
    octets = value.encode("latin-1")
    if len(octets) >= size or b"\0" in octets:
        raise Malformed(f"a text that is longer than {size - 1} characters or holds a null")
    return octets + b"\0"


def subscriber(number: str) -> Endpoint:
    """An E.164 number with its plus as an international ISDN number."""
    return Endpoint(1, 1, number.removeprefix("+"))


def sender(name: str) -> Endpoint:
    """Who a message is from: an E.164 number with plus, a short code, or a name of up to 11 characters."""
    if not _SENDER.fullmatch(name):
        raise ValueError("the sender of SMS is neither a number nor a name of up to 11 ASCII characters")
    if name.startswith("+"):
        return subscriber(name)
    return Endpoint(3, 1, name) if name.isdecimal() else Endpoint(5, 0, name)


def _endpoint(endpoint: Endpoint) -> bytes:
    return bytes((endpoint.ton, endpoint.npi)) + _text(endpoint.digits, 21)


def bind_transceiver(system_id: str, password: str, system_type: str = "") -> bytes:
    """§4.1.5. Real centres give passwords longer than the 8 characters of the specification."""
    return _text(system_id, 16) + _text(password, 65) + _text(system_type, 13) + bytes((VERSION, 0, 0)) + _text("", 41)


def relative_time(seconds: float) -> str:
    """A validity period as ``YYMMDDhhmmss000R`` (§7.1.1.2), at least a minute, at most 30 days."""
    left = int(min(max(seconds, 60), 30 * 86_400))
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    return f"0000{days:02}{hours:02}{left // 60:02}{left % 60:02}000R"


def submit_sm(
    source: Endpoint, destination: Endpoint, data_coding: int, message: bytes, esm_class: int, validity: str
) -> bytes:
    """§4.4.1, a receipt asked for on either outcome. A message of more than 254 octets goes as message_payload."""
    short = message if len(message) <= MAX_SHORT_MESSAGE else b""
    body = (
        _text("", 6)  # service_type
        + _endpoint(source)
        + _endpoint(destination)
        + bytes((esm_class, 0, 0))  # protocol_id, priority_flag
        + _text("", 17)  # at once
        + _text(validity, 17)
        + bytes((RECEIPT_ON_OUTCOME, 0, data_coding, 0, len(short)))
        + short
    )
    return body if short or not message else body + struct.pack(">HH", TLV_MESSAGE_PAYLOAD, len(message)) + message


def query_sm(message_id: str, source: Endpoint) -> bytes:
    """§4.8.1."""
    return _text(message_id, 65) + _endpoint(source)


class _Octets:
    """Reads fields one after the other."""

    def __init__(self, octets: bytes) -> None:
        self._left = octets

    def text(self) -> str:
        value, end, self._left = self._left.partition(b"\0")
        if not end:
            raise Malformed("a text without its end")
        return value.decode("latin-1")

    def octet(self) -> int:
        return self.octets(1)[0]

    def octets(self, number: int) -> bytes:
        if len(self._left) < number:
            raise Malformed("it ends too early")
        taken, self._left = self._left[:number], self._left[number:]
        return taken

    def endpoint(self) -> Endpoint:
        return Endpoint(self.octet(), self.octet(), self.text())

    def parameters(self) -> dict[int, bytes]:
        """The optional parameters (§5.3), to the end."""
        found = {}
        while self._left:
            tag, length = struct.unpack(">HH", self.octets(4))
            found[tag] = self.octets(length)
        return found


def deliver_sm(body: bytes) -> Delivered:
    octets = _Octets(body)
    octets.text()  # service_type
    source = octets.endpoint()
    destination = octets.endpoint()
    esm_class = octets.octets(3)[0]
    octets.text(), octets.text()  # schedule_delivery_time, validity_period
    data_coding = octets.octets(4)[2]  # after registered_delivery and replace_if_present_flag
    message = octets.octets(octets.octet())
    parameters = octets.parameters()
    message = message or parameters.get(TLV_MESSAGE_PAYLOAD, b"")
    return Delivered(source, destination, esm_class, data_coding, message, parameters)


def message_id(body: bytes) -> str:
    """Of a submit_sm_resp (§4.4.2)."""
    return _Octets(body).text()


def queried(body: bytes) -> tuple[str, int]:
    """Message id and message_state of a query_sm_resp (§4.8.2)."""
    octets = _Octets(body)
    name = octets.text()
    octets.text()  # final_date
    return name, octets.octet()


STATES: Mapping[int, str] = {
    1: "sent", 2: "delivered", 3: "undelivered", 4: "failed", 5: "undelivered", 6: "sent", 7: "sent", 8: "failed",
}  # fmt: skip
"""message_state (table 5-6) → our status: enroute, delivered, expired, deleted, undeliverable, accepted, unknown (so
nothing is over), rejected."""
WORDS: Mapping[str, str] = {
    "ENROUTE": "sent", "DELIVRD": "delivered", "EXPIRED": "undelivered", "DELETED": "failed", "UNDELIV": "undelivered",
    "ACCEPTD": "sent", "UNKNOWN": "sent", "REJECTD": "failed",
}  # fmt: skip
"""The same as a receipt's ``stat:`` has it (appendix B)."""
_RECEIPT = re.compile(r"\bid:(?P<id>\S+).*?\bstat:(?P<stat>\w+)(?:.*?\berr:(?P<err>\w+))?", re.IGNORECASE | re.DOTALL)


class Receipt(NamedTuple):
    """What a delivery receipt says: of which message, what became of it, the network's error code."""

    message_id: str
    status: str
    error: str | None


def receipt(delivered: Delivered) -> Receipt | None:
    """None for a message that is no receipt. The optional parameters count more than the text, whose form each centre
    chooses (appendix B). Raises Malformed for a receipt that names no message or no state."""
    if delivered.esm_class & ESM_TYPE not in (ESM_RECEIPT, ESM_INTERMEDIATE):
        return None
    text = _RECEIPT.search(delivered.message.decode("latin-1"))
    name = delivered.parameters.get(TLV_RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1")
    name = name or (text["id"] if text else "")
    state = delivered.parameters.get(TLV_MESSAGE_STATE, b"")
    status = STATES.get(state[0]) if state else None
    status = status or (WORDS.get(text["stat"].upper()) if text else None)
    if not name or status is None:
        raise Malformed("a delivery receipt without id or state")
    return Receipt(name, status, text["err"] if text else None)
