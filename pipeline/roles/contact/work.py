"""Doing what a conversation waits for: publish its records, make its call, ask the provider what became of one.

The provider is called only after the attempt's ``sending`` record is acknowledged, and only while the lease under which
the attempt was written still holds: a worker that was paused past it leaves the attempt to whoever asks the provider.
"""

import asyncio
from collections.abc import Coroutine

import structlog

from pipeline.core.contacting import HangUp
from pipeline.core.conversation import (
    Absent,
    CallBackMissed,
    Conversation,
    Delivered,
    Ended,
    Event,
    HandOverEnded,
    Placed,
    Refused,
    Silent,
    StillRinging,
    SwitchSilent,
    TimedOut,
    Unasked,
    decode,
)
from pipeline.core.keys import Pressed
from pipeline.core.verification_table import ON_DUE
from pipeline.ports import StoreDown
from pipeline.ports_channels import (
    CallAbsent,
    CallAccepted,
    CallOrder,
    CallRefused,
    CallReport,
    CallUnknown,
    MessageOrder,
)
from pipeline.ports_contact import Kept
from pipeline.roles.contact.conversations import ATTEMPT, Applied, Attempting, Conversations
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels
from pipeline.roles.contact.outbox import Outbox
from pipeline.roles.contact.writing import Unwritten

GOING_ON = frozenset({"queued", "sent", "ringing", "answered"})
AWAY = frozenset({"circuit_open", "rate_limited"})
"""Refusals of our own guard around a provider: the next channel is taken at once."""
UNDER_WAY = frozenset({"sending", "ringing", "unknown"})
"""States in which an attempt goes on, or may."""
HANG_UP_S = 5.0
KEPT_FREE = 4
"""One part in so many is kept free for questions about payments."""
LEASE_SHARE = 0.9
"""Of what is left of the lease, a request may take so much."""
log = structlog.get_logger()


def event_of(report: CallReport, attempt: int, asked: bool = False) -> Event | Pressed:
    """What a provider's report means to the conversation; ``asked``: we asked for it."""
    if report.status in GOING_ON:
        return StillRinging(attempt, report.call) if asked else Placed(attempt, report.call)
    if report.status == "delivered":
        return Delivered(attempt, report.call)
    if report.status != "completed":
        return Ended(attempt, report.status)
    return Pressed(attempt, report.digits or "")


class Work:
    """Conversations' work, at most ``limit`` pieces at a time in this process."""

    def __init__(
        self,
        conversations: Conversations,
        outbox: Outbox,
        channels: Channels,
        limit: int,
        metrics: ContactMetrics,
    ) -> None:
        self._conversations = conversations
        self._outbox = outbox
        self._channels = channels
        self._limit = limit
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> int:
        """How many pieces of work may begin now."""
        return max(0, self._limit - len(self._tasks))

    @property
    def spare(self) -> int:
        """How many of them may be for other things than payments in doubt: a flood of reminders leaves room for those."""
        return max(0, self.free - self._limit // KEPT_FREE)

    def begin(self, piece: Coroutine[None, None, None]) -> None:
        """Run ``piece`` beside everything else. What fails is not lost: the schedule and the outbox bring it back."""
        task = asyncio.get_running_loop().create_task(self.guarded(piece))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def guarded(self, piece: Coroutine[None, None, None]) -> None:
        """Run ``piece`` to its end. What fails is not lost: the schedule and the outbox bring it back."""
        try:
            await piece
        except StoreDown as error:
            self._metrics.failures.inc()
            log.warning("the contact store is away: this is taken up again when its lease ends", error=str(error))
        except Exception as error:
            self._metrics.failures.inc()
            log.exception("a piece of contact work failed: it is taken up again", error=type(error).__name__)

    async def idle(self) -> None:
        """Wait until no piece is running."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def stop(self, wait_s: float) -> None:
        """Let what runs end, for so long; what is cut off is found again by its lease."""
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=wait_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def due(self, kept: Kept) -> None:
        """A claimed conversation's time has come."""
        conversation = decode(kept.value)
        if conversation.due_ms is not None:
            self._metrics.lateness.observe(max(0, self._conversations.now_ms() - conversation.due_ms) / 1000)
        if conversation.call_back_ms is not None and conversation.state != "releasing":
            await self.proceed(conversation.id, CallBackMissed(), kept)
            return
        match ON_DUE.get(conversation.state):
            case "claim":
                await self.proceed(conversation.id, ATTEMPT, kept)
            case "ask":
                await self.proceed(conversation.id, await self._asked(conversation), kept)
            case "end_hand_over":
                await self.proceed(conversation.id, HandOverEnded(), kept)
            case "miss_switch":
                await self.proceed(conversation.id, SwitchSilent(), kept)

    async def _asked(self, conversation: Conversation) -> Event | Pressed:
        """What became of the present attempt. The time for the answer to a message that was sent is over."""
        attempt = conversation.attempt
        if conversation.by_message and conversation.state == "ringing":
            return Silent(attempt)
        channel = conversation.attempts[-1].channel
        carrier = self._channels.messages.get(channel) if conversation.by_message else self._channels.calls
        if carrier is None:
            return Unasked(attempt)  # the channel is no longer set up
        match await carrier.find(conversation.key):
            case CallReport() as report:
                return event_of(report, attempt, asked=True)
            case CallAbsent():
                return Absent(attempt)
            case CallUnknown():
                return Unasked(attempt)

    async def proceed(
        self, contact: str, event: Event | Attempting | Pressed, kept: Kept | None = None
    ) -> Applied | None:
        """Apply ``event``, then do what follows from it."""
        applied = await self._conversations.apply(contact, event, kept)
        if applied is not None:
            await self.follow(applied)
        return applied

    async def follow(self, applied: Applied) -> None:
        """Publish a transition's records and, if it orders a call or a message, make it. A call that is to end is ended
        beside all that."""
        for effect in applied.effects:
            if isinstance(effect, HangUp):
                self.begin(self._hang_up(effect.key, effect.call))
        await self._outbox.publish(applied.outbox)
        order, thanks = applied.written
        if order is not None:
            await self._attempt(applied.conversation, order)
        carrier = self._channels.messages.get(thanks.channel) if thanks is not None else None
        if thanks is not None and carrier is not None:  # nothing depends on it: sent once, not asked about
            await carrier.send(thanks)
        if applied.outbox:
            await self._outbox.forget(applied.outbox)

    async def _hang_up(self, key: str, call: str | None) -> None:
        """One that cannot be ended rings out, and its answer is a late one."""
        try:
            async with asyncio.timeout(HANG_UP_S):
                await self._channels.calls.cancel(key, call)
        except TimeoutError:
            log.info("a call that nobody needs any more could not be ended in time", key=key)

    async def _carried(
        self, order: CallOrder | MessageOrder, within_s: float
    ) -> CallAccepted | CallRefused | CallUnknown:
        """The provider's word, or that there is none, before the lease is over: after it others act."""
        try:
            async with asyncio.timeout(within_s):
                if isinstance(order, CallOrder):
                    return await self._channels.calls.place(order)
                carrier = self._channels.messages.get(order.channel)
                return CallRefused(True, "no_carrier") if carrier is None else await carrier.send(order)
        except TimeoutError:
            return CallUnknown("lease_over")

    async def _attempt(self, conversation: Conversation, order: CallOrder | MessageOrder | Unwritten) -> None:
        attempt = conversation.attempt
        now_ms = self._conversations.now_ms()
        assert conversation.due_ms is not None, "a sending attempt has a lease"
        if now_ms >= conversation.due_ms - self._conversations.lease_ms // 2:
            return  # too late in the lease: whoever finds it ended asks the provider first
        if isinstance(order, Unwritten):
            await self.proceed(conversation.id, Refused(attempt, permanent=True, reason=order.reason))
            return
        if attempt == 1 and conversation.asks == 0:
            self._metrics.latency.observe(max(0, now_ms - conversation.source_ms) / 1000, conversation.class_)
        match await self._carried(order, (conversation.due_ms - now_ms) / 1000 * LEASE_SHARE):
            case CallAccepted(call=call):
                event: Event = Placed(attempt, call)
            case CallRefused(permanent=permanent, reason=reason):
                event = Refused(attempt, permanent, "rejected" if permanent else "refused", reason in AWAY)
            case CallUnknown():
                event = TimedOut(attempt)
        applied = await self.proceed(conversation.id, event)
        answered = applied is not None and applied.refused is not None and applied.conversation.state not in UNDER_WAY
        if answered and isinstance(event, Placed) and isinstance(order, CallOrder):  # elsewhere, while it was ordered
            await self._hang_up(order.key, event.call)
