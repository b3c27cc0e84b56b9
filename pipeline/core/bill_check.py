"""What is owed now decides what becomes of a contact about bills, at the moment in which its next attempt is claimed.

Of each matter with a bill the account's record is asked (`dunning.may_tell`). What need not be told is withdrawn, one at a
time; what may be told is told with the amounts and in the words of now. What has to wait puts the whole contact off, and
ends it where that would be longer than it is worth; where others can be told meanwhile and it would take long, it is left
out. A contact about an account of which nothing is known, or nothing new, waits too: silence is better than reminding
somebody who has paid.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pipeline.core.account_facts import Account, decode
from pipeline.core.conversation import Barred, Conversation, Deferred
from pipeline.core.dunning import Later, Nothing, Tell, may_tell
from pipeline.core.matters import Matter, Withdrawn, waiting
from pipeline.core.requests import CARD

STALE_MS = 60_000
"""How long ago the events of an account's partition may have been read for its record to count."""
AGAIN_MS = 60_000
MOST_AGAIN_MS = 600_000
"""How soon a record that lags or lacks is looked for again: at first, and at most."""
TOGETHER_MS = 600_000
"""How long several bills wait for one of them."""


class Seen(NamedTuple):
    """What the store has of one account: its record, b"" for none, and the moment up to which the events of its partition
    are read, None if nobody reads them."""

    record: bytes
    read_ms: int | None


class Checked(NamedTuple):
    """``instead``: what happens to the contact in place of an attempt, None: the attempt may be made; ``matters``: all
    matters of the contact, in the words of now."""

    instead: Withdrawn | Deferred | Barred | None
    matters: tuple[Matter, ...]


def billed(conversation: Conversation, now_ms: int) -> Sequence[Matter]:
    """The matters still to be told for which something has to be owed."""
    return [each for each in waiting(conversation.matters) if each.bill is not None and each.until_ms > now_ms]


def account_of(record: bytes) -> Account | None:
    """The account of a record; None: there is none, or nobody here can read it."""
    try:
        return decode(record) if record else None
    except (msgspec.DecodeError, ValueError):
        return None


def checked(conversation: Conversation, accounts: Mapping[str, Seen], now_ms: int) -> Checked:
    """``accounts``: by account, of every matter that `billed` names."""
    told: dict[str, Matter] = {}
    later: dict[str, Later] = {}
    for matter in billed(conversation, now_ms):
        assert matter.bill is not None, "it is billed"
        match _asked(matter, accounts[matter.bill.account], conversation, now_ms):
            case Nothing(reason=reason):
                return Checked(Withdrawn(reason, matter.id), conversation.matters)
            case Later() as wait:
                later[matter.id] = wait
            case Tell(variables=variables, template=template):
                told[matter.id] = _in_words_of_now(matter, variables, template)
    if later:
        others = len(waiting(conversation.matters)) - len(later)
        return Checked(_put_off(conversation, later, others, now_ms), conversation.matters)
    return Checked(None, tuple(told.get(each.id, each) for each in conversation.matters))


def _asked(matter: Matter, seen: Seen, conversation: Conversation, now_ms: int) -> Tell | Nothing | Later:
    assert matter.bill is not None, "only of those anything is asked"
    waited_ms = now_ms - max(matter.said_ms, matter.from_ms)
    again_ms = now_ms + min(MOST_AGAIN_MS, max(AGAIN_MS, waited_ms))
    account = account_of(seen.record)
    if account is None:
        return Later(again_ms, "no_account")
    if seen.read_ms is None:
        return Later(again_ms, "accounts_unread")
    if now_ms - seen.read_ms > STALE_MS:
        return Later(again_ms, "accounts_lag")
    answer = may_tell(account, matter.bill.statement, matter.bill.stage, matter.template, now_ms, conversation.class_)
    if isinstance(answer, Later):
        return answer._replace(until_ms=max(answer.until_ms, now_ms + 1000))
    return answer


def _in_words_of_now(matter: Matter, variables: Mapping[str, object], template: str) -> Matter:
    facts = {name: value for name, value in variables.items() if name != CARD}
    card = variables.get(CARD, matter.card)
    return replace(matter, variables=facts, template=template, card=card if isinstance(card, str) else matter.card)


def _put_off(
    conversation: Conversation, later: Mapping[str, Later], others: int, now_ms: int
) -> Withdrawn | Deferred | Barred:
    """``others``: how many could be told now."""
    until = {each.id: each.until_ms for each in waiting(conversation.matters)}
    for name, wait in later.items():
        too_late = wait.until_ms >= until[name]
        reason = f"expired by {wait.reason}" if too_late else wait.reason
        if too_late and not others and len(later) == 1:
            return Barred(reason)
        if too_late or (others and wait.until_ms > now_ms + TOGETHER_MS):
            return Withdrawn(reason, name)
    first = min(later.values(), key=lambda wait: wait.until_ms)
    return Deferred(first.until_ms, first.reason)
