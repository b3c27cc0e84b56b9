"""What the contact role needs from providers: who carries its calls and messages, and what they say became of them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol


class CallOrder(NamedTuple):
    """One call to be made. ``key`` makes it the same call however often it is ordered; ``to`` is E.164;
    ``reference`` names the alerts it asks about; ``sender``: the caller id to show, empty for the channel's own."""

    key: str
    to: str
    language: str
    say: str
    voicemail: str
    thanks_yes: str
    thanks_no: str
    reference: Sequence[str]
    ring_s: float
    sender: str = ""


class CallAccepted(NamedTuple):
    """The provider has the call, under its own name for it."""

    call: str


class CallRefused(NamedTuple):
    """The provider certainly did not take the call. ``permanent``: it never will."""

    permanent: bool
    reason: str


class CallUnknown(NamedTuple):
    """No usable answer: the provider may or may not have the call."""

    reason: str


class CallAbsent(NamedTuple):
    """The provider never had a call of this key."""


class CallReport(NamedTuple):
    """What the provider says about a call. ``status``: queued, ringing, answered (it goes on); completed (with the
    ``digits`` pressed), busy, no_answer, failed, hung_up, voicemail (it is over)."""

    key: str
    call: str
    status: str
    digits: str | None = None


class MessageOrder(NamedTuple):
    """One message to be sent. ``key`` makes it the same message however often it is ordered; ``to``: E.164 number,
    e-mail address, app or WeChat id; ``subject``: of an e-mail or a push; ``reference`` names the alerts it asks about;
    after ``expires_s`` it is not worth delivering; ``sender``: as whom, empty for the channel's own (push and WeChat
    have no other)."""

    key: str
    channel: str
    to: str
    language: str
    text: str
    subject: str | None
    reference: Sequence[str]
    expires_s: float
    sender: str = ""


class MessageChannel(Protocol):
    """Who carries messages of one channel. Neither method raises for a provider that is away."""

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown: ...

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        """What became of the message of this key: queued, sent (it goes on), delivered, undelivered, failed."""


class SentMessage(NamedTuple):
    """One order as its provider knows it. ``names``: of its parts, None for one the provider is not known to have;
    ``statuses``: by name, of those whose outcome is known; ``sender``: the order's."""

    key: str
    names: Sequence[str | None]
    statuses: Mapping[str, str] = MappingProxyType({})
    sender: str = ""


class SentMessages(Protocol):
    """Which names of a provider stand for which order, for all workers and for some days: what it tells of a message may
    reach any of them. Each method may raise `StoreDown`."""

    async def keep(self, message: SentMessage) -> None:
        """It was sent, under these names. What was heard of them stays."""

    async def of_key(self, key: str) -> SentMessage | None: ...

    async def heard(self, name: str, status: str) -> SentMessage | None:
        """The message with what became of its part ``name``, and of all others; None: nobody sent it."""


class Provider(Protocol):
    """Who makes the calls. Neither method raises for a provider that is away."""

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown: ...

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        """What became of the call of this key."""

    async def cancel(self, key: str, call: str | None) -> None:
        """End the call of this key, if it goes on; ``call``: the provider's name for it, where it is known. Nothing
        depends on it."""
