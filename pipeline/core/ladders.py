"""The plan a conversation follows: one set of times, a ladder for each class, less what its matters may not use."""

from collections.abc import Collection, Iterator, Mapping

from msgspec.structs import replace

from pipeline.core.contact_policy import ContactClass
from pipeline.core.conversation import (
    CALL_CLASS,
    Channel,
    Conversation,
)
from pipeline.core.plan import OnSilence, Plan, Rung

WAIT_S = 300.0
"""For a message on a channel that the ladder, changed meanwhile, no longer has."""


class Plans:
    """The plans of every class. ``asking``: the one of verifications."""

    def __init__(self, plan: Plan, silences: Mapping[str, tuple[OnSilence, ...]]) -> None:
        """``plan``: with the rungs of all classes; ``silences``: class → its rules, the first that holds."""
        self._silences = silences
        self._plan = plan
        self.asking = self._of_class(CALL_CLASS)
        self._telling: dict[tuple[str, tuple[Channel, ...], str], Plan] = {}

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """Every rung of every class, in the order of the file."""
        return self._plan.ladder

    def of(self, conversation: Conversation) -> Plan:
        """The plan of this conversation."""
        if not conversation.tells:
            return self.asking
        return self._of_channels(conversation.class_, conversation.channels, conversation.prefers)

    def of_class(self, class_: str) -> Plan:
        """The plan of a class, all of its ladder."""
        return self._of_class(class_)

    def channels(self, class_: ContactClass, among: Collection[str] = ()) -> tuple[Channel, ...]:
        """The channels of the class's ladder in its order; ``among``: only these, if any are given. A notice about a
        payment is a message: it calls nobody."""
        found: Iterator[Channel] = (rung.channel for rung in self._of_class(class_).ladder)
        messages_only = class_ == CALL_CLASS
        return tuple(
            dict.fromkeys(
                channel
                for channel in found
                if (not among or channel in among) and not (messages_only and channel == "voice")
            )
        )

    def _of_class(self, class_: str) -> Plan:
        ladder = tuple(rung for rung in self._plan.ladder if class_ in rung.classes)
        return replace(self._plan, ladder=ladder, on_silence=self._silences.get(class_, ()))

    def _of_channels(self, class_: str, channels: tuple[Channel, ...], prefers: str) -> Plan:
        """The channel that the customer prefers goes first, the others keep their order."""
        key = (class_, channels, prefers)
        plan = self._telling.get(key)
        if plan is None:
            whole = self._of_class(class_)
            rungs = sorted(
                (rung for rung in whole.ladder if rung.channel in channels), key=lambda rung: rung.channel != prefers
            )
            ladder = tuple(rungs) or tuple(Rung(channel=channel, wait_s=WAIT_S) for channel in channels)
            plan = self._telling[key] = replace(whole, ladder=ladder)
        return plan
