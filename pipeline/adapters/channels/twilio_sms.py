"""Text messages through Twilio."""

import re
from math import ceil

from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_orders import SETTLE_S, Kind, Made, TwilioOrders
from pipeline.core.twilio import MESSAGE_STATUSES, SMS_STATUS_PATH, CallbackUrls
from pipeline.ports import Clock
from pipeline.ports_channels import CallAbsent, CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

MAX_BODY = 1_600
"""Characters Twilio takes."""
LONGEST_VALID_S = 36_000
SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
"""The sid of a messaging service."""


def _word(made: Made) -> str | None:
    return MESSAGE_STATUSES.get(made.status)


class TwilioSms:
    """The MessageChannel port. ``sender``: the bank's number or name, or the sid of a messaging service (MG…), which
    then chooses the number. A service must not rewrite texts (smart encoding): a text is recognised by its digest."""

    def __init__(
        self, client: TwilioClient, urls: CallbackUrls, sender: str, clock: Clock, settle_s: float = SETTLE_S
    ) -> None:
        self._urls = urls
        self._sender = sender
        self._orders = TwilioOrders(client, Kind("Messages", _word), clock, settle_s)

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        if order.expires_s < 1:
            return CallRefused(permanent=True, reason="expired")
        if not 0 < len(order.text) <= MAX_BODY:
            return CallRefused(permanent=True, reason="text_too_long" if order.text else "no_text")
        sender = order.sender or self._sender
        named = "MessagingServiceSid" if SERVICE.fullmatch(sender) else "From"
        form = [
            ("To", order.to),
            (named, sender),
            ("Body", order.text),
            ("StatusCallback", self._urls.of(SMS_STATUS_PATH, order.key)),
            ("ValidityPeriod", str(min(ceil(order.expires_s), LONGEST_VALID_S))),
        ]
        filters = {"To": order.to}
        if named == "From":
            filters["From"] = sender
        return await self._orders.order(order.key, form, filters, order.text)

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        return await self._orders.find(key)
