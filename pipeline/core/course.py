"""Which machine moves a conversation on: the one that asks about payments, or the one that tells."""

from pipeline.core import telling, verification
from pipeline.core.conversation import (
    Conversation,
    Event,
)
from pipeline.core.plan import Plan
from pipeline.core.verification import Advanced


def advance(conversation: Conversation, event: Event, now_ms: int, plan: Plan) -> Advanced:
    """What ``event`` makes of ``conversation``. A refused event gives back the conversation itself."""
    machine = telling.advance if conversation.tells else verification.advance
    return machine(conversation, event, now_ms, plan)
