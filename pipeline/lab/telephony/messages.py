"""Text messages: taken once per key, delivered at once, answered by a visitor or as the callee behaves.

Events on the record: ``message`` (a new key), ``message_repeat`` (the key was there), ``receipt`` (the call-back that says
delivered, and what it was answered with), ``reply`` (what was written back), ``reply_receipt`` (its call-back). Numbers
are kept masked, so who wrote a message of an earlier process can no longer be told: such messages are shown, and cannot
be answered.
"""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec

from pipeline.lab.telephony.background import Background
from pipeline.lab.telephony.behaviour import Behaviour, Callees
from pipeline.lab.telephony.calls import Pace
from pipeline.lab.telephony.record import CallLog, masked
from pipeline.lab.telephony.reports import Reporter

LONGEST_REPLY = 500
MOST_REPLIES = 20
"""To one message; a visitor who goes on is told so."""
_IN_ENGLISH = re.compile(r"\b(YES|NO|STOP)\b")
_IN_CHINESE = re.compile(r"回复?\s*([12T])")


class Text(msgspec.Struct):
    """What ``data`` of ``POST /v1/messages`` holds: a MessageOrder."""

    key: str
    channel: Literal["sms", "email", "push", "wechat", "webhook"]
    to: str
    text: str
    language: str = "en"
    subject: str | None = None
    reference: list[str] = []
    expires_s: float = 0.0
    sender: str = ""


class Posted(msgspec.Struct):
    """The body of ``POST /v1/messages``."""

    data: Text


class Reply:
    """What was written back; ``taken`` when the bank has answered so."""

    def __init__(self, reply_id: str, text: str) -> None:
        self.id = reply_id
        self.text = text
        self.taken = False


class Message:
    """One message. ``number`` is None after a restart; ``thread`` is the same for all messages to one number."""

    def __init__(self, message_id: str, order: Text, behaviour: Behaviour, thread: str, number: str | None) -> None:
        self.id = message_id
        self.order = order
        self.behaviour = behaviour
        self.thread = thread
        self.number = number
        self.delivered = False
        self.replies: list[Reply] = []

    @property
    def answerable(self) -> bool:
        return self.behaviour == "interactive" and self.number is not None and len(self.replies) < MOST_REPLIES

    def shown(self) -> dict[str, Any]:
        """What the API and the phone page tell about it."""
        return {
            "message_id": self.id,
            "key": self.order.key,
            "thread": self.thread,
            "channel": self.order.channel,
            "to": masked(self.order.to),
            "from": self.order.sender,
            "language": self.order.language,
            "subject": self.order.subject,
            "text": self.order.text,
            "reference": self.order.reference,
            "offers": list(offered(self.order.text)),
            "interactive": self.behaviour == "interactive",
            "answerable": self.answerable,
            "delivered": self.delivered,
            "replies": [{"id": reply.id, "text": reply.text, "taken": reply.taken} for reply in self.replies],
        }


def offered(text: str) -> Sequence[str]:
    """The words that ``text`` asks to be answered with, in its order: YES, NO, STOP, or 1, 2, T; none where it only
    tells something."""
    return list(dict.fromkeys(_IN_ENGLISH.findall(text) or _IN_CHINESE.findall(text)))


class Messages:
    """All messages of this provider, found by key or id. ``callback_url``: what stands before ``/{channel}``; without
    one nothing is reported. ``secret`` makes threads of numbers that nobody can turn back."""

    def __init__(
        self, log: CallLog, callees: Callees, reporter: Reporter, pace: Pace, callback_url: str | None, secret: bytes
    ) -> None:
        self._log = log
        self._callees = callees
        self._reporter = reporter
        self._pace = pace
        self._callback_url = callback_url
        self._secret = secret
        self._background = Background()
        self.by_key: dict[str, Message] = {}
        self.by_id: dict[str, Message] = {}

    def restore(self) -> None:
        """Find earlier messages in the record; what was not reported as delivered is."""
        for line in list(self._log.lines):
            if line["event"] == "message":
                order = msgspec.convert(line["order"], Text)
                self._add(Message(line["message"], order, line["behaviour"], line["thread"], None))
            elif line["event"] == "reply":
                self.by_id[line["message"]].replies.append(Reply(line["reply"], line["text"]))
            elif line["event"] == "receipt" and line["answered"] < 300:
                self.by_id[line["message"]].delivered = True
            elif line["event"] == "reply_receipt" and line["answered"] < 300:
                found = self.by_id[line["message"]].replies
                next(reply for reply in found if reply.id == line["reply"]).taken = True
        for message in self.by_id.values():
            if not message.delivered:
                self._background.begin(self._deliver(message))

    def _add(self, message: Message) -> None:
        self.by_key[message.order.key] = self.by_id[message.id] = message

    def taken(self, order: Text) -> tuple[Message, bool]:
        """The message of the order's key, and whether it is new."""
        if (message := self.by_key.get(order.key)) is not None:
            self._log.write("message_repeat", message=message.id, key=order.key)
            return message, False
        behaviour = self._callees.behaviour(order.key, order.to, order.reference)
        thread = hmac.digest(self._secret, f"{order.channel}:{order.to}".encode(), "sha256").hex()[:12]
        message = Message(f"text_{len(self.by_id) + 1:06d}", order, behaviour, thread, order.to)
        kept = msgspec.to_builtins(msgspec.structs.replace(order, to=masked(order.to)))
        self._add(message)
        self._log.write("message", message=message.id, key=order.key, behaviour=behaviour, thread=thread, order=kept)
        self._background.begin(self._deliver(message))
        self._background.begin(self._react(message))
        return message, True

    def reply(self, message: Message, text: str) -> bool:
        """A visitor's words; False when this message cannot be answered."""
        if not message.answerable:
            return False
        self._write_back(message, text)
        return True

    def _write_back(self, message: Message, text: str) -> None:
        reply = Reply(f"{message.id}_{len(message.replies) + 1}", text)
        message.replies.append(reply)
        self._log.write("reply", message=message.id, reply=reply.id, text=text)
        self._background.begin(self._pass_on(message, reply))

    async def _react(self, message: Message) -> None:
        """Whoever would answer a call with yes or no answers a question so; all others leave it."""
        words = offered(message.order.text)
        if message.behaviour in ("yes", "no") and len(words) > 1:
            await asyncio.sleep(self._pace.answer_s)
            self._write_back(message, words[0 if message.behaviour == "yes" else 1])

    async def _deliver(self, message: Message) -> None:
        data = {"key": message.order.key, "call_id": message.id, "status": "delivered"}
        async for answered in self._told(message, "message.delivered", message.id, data):
            message.delivered = answered < 300
            self._log.write("receipt", message=message.id, key=message.order.key, answered=answered)

    async def _pass_on(self, message: Message, reply: Reply) -> None:
        data = {"from": message.number, "text": reply.text, "id": reply.id}
        async for answered in self._told(message, "message.received", reply.id, data):
            reply.taken = answered < 300
            self._log.write("reply_receipt", message=message.id, reply=reply.id, answered=answered)

    async def _told(self, message: Message, kind: str, name: str, data: dict[str, Any]) -> AsyncIterator[int]:
        if self._callback_url is not None:
            url = f"{self._callback_url.rstrip('/')}/{message.order.channel}"
            async for answered in self._reporter.deliver(kind, name, url, data):
                yield answered

    async def stop(self) -> None:
        await self._background.stop()
