"""Which alerts an answer speaks about, and what it makes of what was known about each.

Verdicts can be taken back: a label was published with each, and another is with each change.
"""

from typing import Literal

from msgspec.structs import replace

from pipeline.core.conversation import Alert, Answered, Conversation

Verdict = Literal["genuine", "fraud"]


def answered_for(conversation: Conversation, answer: Answered) -> set[str]:
    """The alerts an answer speaks about: those that were shown, those its attempt asked about; without either, all that
    there are for an agent, who asks about them, and for anybody else those of the present attempt, or the first where
    none was made: what has come since they looked they do not know."""
    known = {alert.id for alert in conversation.alerts}
    if answer.alerts:
        return known.intersection(answer.alerts)
    if answer.attempt is not None:
        return set(conversation.attempts[answer.attempt - 1].covers)
    if answer.assurance == "agent":
        return known
    if conversation.attempts:
        return set(conversation.attempts[-1].covers)
    return {alert.id for alert in conversation.alerts[:1]}


def contradicts(conversation: Conversation, answer: Answered) -> bool:
    """Whether a no comes after the yes that released the card. People ask which holds; if one of them says it, it does."""
    if conversation.state not in ("releasing", "released") or answer.assurance == "agent":
        return False
    spoken = answered_for(conversation, answer)
    return any(alert.verdict == "genuine" for alert in conversation.alerts if alert.id in spoken)


def settled(conversation: Conversation, answer: Answered, symbol: str) -> tuple[Alert, ...]:
    """The alerts with the verdict on those that ``answer`` speaks about. An agent's word overrules what was said before;
    of anybody else, a no withdraws a yes (and does no more, where people are to ask), a yes after a no counts for
    nothing."""
    spoken = answered_for(conversation, answer)
    said: Verdict = "genuine" if answer.word == "yes" else "fraud"

    def heard(alert: Alert) -> Verdict | None:
        if alert.id not in spoken:
            return alert.verdict
        if symbol == "no_after_yes":
            return None
        if alert.verdict is None or answer.assurance == "agent":
            return said
        return None if (alert.verdict, said) == ("genuine", "fraud") else alert.verdict

    def changed(alert: Alert) -> Alert:
        if (verdict := heard(alert)) == alert.verdict:
            return alert
        before = max(alert.labels, int(alert.verdict is not None))  # earlier versions did not count
        return replace(alert, verdict=verdict, labels=before + 1)

    return tuple(changed(alert) for alert in conversation.alerts)
