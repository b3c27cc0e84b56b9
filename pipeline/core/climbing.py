"""What comes after an attempt that came to nothing, whatever the conversation is about: the same rung, the next, the end."""

from typing import Literal, TypeVar

from pipeline.core.conversation import Conversation
from pipeline.core.plan import Plan

End = TypeVar("End", bound=str)


def again(conversation: Conversation, plan: Plan, at_the_end: End) -> End | Literal["retry", "next_rung"]:
    """Another try on the present rung while it has any left, else as `onward`."""
    if conversation.tries < plan.rung(conversation.rung, conversation.order).tries:
        return "retry"
    return onward(conversation, plan, at_the_end)


def onward(conversation: Conversation, plan: Plan, at_the_end: End) -> End | Literal["next_rung"]:
    """The next rung, or past the last ``at_the_end``."""
    return "next_rung" if conversation.rung + 1 < len(plan.ladder) else at_the_end
