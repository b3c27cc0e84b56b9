"""Calls through Twilio.

What is said is fetched by Twilio when somebody picks up (``/callbacks/twilio/voice``), not sent with the order: only
that request tells whether a person or a machine answered, and a machine must not hear what the question says. An order
that carries its words (parameter ``Twiml``) is spoken to whoever answers; it is used only where machine detection is
switched off.
"""

from math import ceil
from typing import Literal

from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_orders import SETTLE_S, Kind, Made, TwilioOrders
from pipeline.core.twilio import GATHER_PATH, STATUS_PATH, VOICE_PATH, CallbackUrls, call_status
from pipeline.core.twiml import MAX_INLINE, question
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallOrder, CallRefused, CallReport, CallUnknown

EVENTS = ("initiated", "ringing", "answered", "completed")
"""Of what Twilio tells as a call goes on; the last comes for every end."""
LONGEST_RING_S = 600
Detection = Literal["Enable", "DetectMessageEnd"]


def _word(made: Made) -> str | None:
    return call_status(made.status, made.answered_by)


class TwilioVoice:
    """The Provider port. ``caller``: the bank's number, for orders that name none. ``detection``: DetectMessageEnd waits for a voicemail's
    greeting to end, so that the message is not spoken into it; Enable answers at once; None switches detection off,
    and then whoever picks up hears the question."""

    def __init__(
        self,
        client: TwilioClient,
        urls: CallbackUrls,
        caller: str,
        clock: Clock,
        detection: Detection | None = "DetectMessageEnd",
        settle_s: float = SETTLE_S,
    ) -> None:
        self._urls = urls
        self._caller = caller
        self._detection = detection
        self._orders = TwilioOrders(client, Kind("Calls", _word), clock, settle_s)

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown:
        caller = call.sender or self._caller
        form = [
            ("To", call.to),
            ("From", caller),
            ("Timeout", str(min(max(ceil(call.ring_s), 1), LONGEST_RING_S))),
            ("StatusCallback", self._urls.of(STATUS_PATH, call.key)),
            ("StatusCallbackMethod", "POST"),
            *(("StatusCallbackEvent", event) for event in EVENTS),
        ]
        if self._detection is None:
            words = question(call.say, call.language, self._urls.of(GATHER_PATH, call.key))
            if len(words) > MAX_INLINE:
                return CallRefused(permanent=True, reason="text_too_long")
            form.append(("Twiml", words))
        else:
            form += [
                ("Url", self._urls.of(VOICE_PATH, call.key)),
                ("Method", "POST"),
                ("MachineDetection", self._detection),
            ]
        return await self._orders.order(call.key, form, {"To": call.to, "From": caller})

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        """A completed call is reported as hung up, or voicemail: which key was pressed, Twilio tells by call-back only."""
        return await self._orders.find(key)

    async def cancel(self, key: str, call: str | None) -> None:
        """Only a call whose sid is known can be ended."""
        await self._orders.end(key, call)
