"""Events posted to a system of the bank's own: one signed request each, by the Standard Webhooks specification.

The body is ``{"type": "contact.step", "timestamp": …, "data": {…}}``: the event's own time, and the record as the topic
has it. ``webhook-id`` is the event's id, made from the record: who has seen it answers 2xx or 409 and does nothing
again. 2xx and 409: taken. 401, 403, 404, 405, 408, 425, 429, redirects, 5xx and no answer say something about the
address or the moment: the event is kept and posted again. Any other 4xx, 410 first of all, refuses this event for good.
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
"""

import asyncio
from collections.abc import Collection, Sequence

import msgspec

from pipeline.adapters.channels.posting import TIMEOUT_S, Answer, Poster, judged
from pipeline.core.crm_event import CrmEvent
from pipeline.core.crm_outcome import NOT_TRIED, NOT_WANTED, TAKEN, Told
from pipeline.core.records import ContactStep
from pipeline.core.webhook import signed
from pipeline.ports import Clock
from pipeline.ports_channels import CallRefused

IN_FLIGHT = 8
"""Customers told at the same time; a customer's events go one after the other."""
KNOWN_ALREADY = 409
ABOUT_THE_ADDRESS = frozenset({404, 405})


class WebhookSystem:
    """The OtherSystem port. ``steps``: of contacts, those that are posted; tags always are. ``secret`` as
    `pipeline.core.webhook.signing_key` reads it."""

    def __init__(
        self, url: str, secret: bytes, steps: Collection[str], clock: Clock, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url = url
        self._secret = secret
        self._steps = steps
        self._clock = clock
        self._poster = Poster(timeout_s)

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        told = [NOT_TRIED] * len(events)
        lanes: dict[str, list[int]] = {}
        for position, event in enumerate(events):
            if isinstance(event.data, ContactStep) and event.data.step not in self._steps:
                told[position] = NOT_WANTED
            else:
                lanes.setdefault(event.customer or event.id, []).append(position)
        places = asyncio.Semaphore(IN_FLIGHT)
        put_off = 0

        async def go(positions: Sequence[int]) -> None:
            nonlocal put_off
            for position in positions:
                async with places:
                    if put_off >= IN_FLIGHT:
                        return  # it is the system, not the events: the others need not find out one by one
                    told[position] = await self._post(events[position])
                if told[position].result == "later":
                    put_off += 1
                    return

        await asyncio.gather(*(go(positions) for positions in lanes.values()))
        return told

    async def _post(self, event: CrmEvent) -> Told:
        body = msgspec.json.encode({"type": event.type, "timestamp": event.time, "data": event.data})
        headers = signed(self._secret, event.id, int(self._clock.now()), body)
        answer = await self._poster.post(self._url, body, headers)
        if not isinstance(answer, Answer):
            return Told("later", answer.reason)
        outcome = judged(answer.status)
        if outcome is None or answer.status == KNOWN_ALREADY:
            return TAKEN
        never = isinstance(outcome, CallRefused) and outcome.permanent and answer.status not in ABOUT_THE_ADDRESS
        return Told("rejected" if never else "later", outcome.reason)
