"""Twilio's words and call-back addresses, in ours.

Twilio's API has no idempotency key. The key of an attempt therefore travels in the address it reports to
(``?key=…``): Twilio signs that address with every request, so a call-back proves which attempt it is about.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

VOICE_PATH = "/callbacks/twilio/voice"
GATHER_PATH = "/callbacks/twilio/gather"
STATUS_PATH = "/callbacks/twilio/status"
SMS_PATH = "/callbacks/twilio/sms"
SMS_STATUS_PATH = "/callbacks/twilio/sms-status"

RETRY = "rc=3&rp=all"
"""Asks Twilio to repeat a request that we answered with an error, three times at most; it stands behind the ``#`` of an
address (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides)."""

ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
DIGITS = re.compile(r"[0-9A-D*#]{1,16}")

CALL_STATUSES: Mapping[str, str] = {
    "queued": "queued",
    "initiated": "queued",
    "ringing": "ringing",
    "in-progress": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "failed",
    "completed": "hung_up",
}
"""A completed call is one that somebody hung up: the key pressed in it, if any, was reported on its own before, and is
part of no status."""

MESSAGE_STATUSES: Mapping[str, str] = {
    "accepted": "queued",
    "scheduled": "queued",
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "partially_delivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
}


class CallbackUrls(NamedTuple):
    """Where Twilio reaches us. ``public``: what stands before ``/callbacks/twilio/…``, as Twilio sees it."""

    public: str
    retry: str = RETRY

    def of(self, path: str, key: str | None = None) -> str:
        """The full address. A colon stays as it is: the fewer escapes, the fewer ways to write one address."""
        address = self.public.rstrip("/") + path
        if key is not None:
            address += "?key=" + quote(key, safe=":")
        return f"{address}#{self.retry}" if self.retry else address


def by_machine(answered_by: str | None) -> bool:
    """Whether no person answered. What the detection could not tell ("unknown") is treated as a person."""
    return answered_by is not None and (answered_by.startswith("machine_") or answered_by == "fax")


def call_status(status: str, answered_by: str | None) -> str | None:
    """The word of `CallReport` for a call; None for a word that is not Twilio's."""
    if status == "completed" and by_machine(answered_by):
        return "voicemail"
    return CALL_STATUSES.get(status)
