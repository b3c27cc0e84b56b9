"""What is read of the topics for a rebuild: records nobody can use do no harm, deleted ones are not taken for missing."""

import asyncio
from typing import Any

import msgspec
from contact_world import DIGESTS, Read, customer, decision

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core import agenda, contact_history, wishes
from pipeline.core.contact_history import Entry
from pipeline.core.conversation import Conversation, contact_id
from pipeline.core.ladders import Plans
from pipeline.core.matters import Matter
from pipeline.core.plan import Plan, Rung
from pipeline.core.wishes import Wishes
from pipeline.ports_contact import Note, ReadUpTo
from pipeline.roles.contact.ledger import Ledger
from pipeline.roles.contact.rebuild import restored
from pipeline.roles.contact.rebuild_writer import Writer

CARD = "tok_card_0001"
NOW_MS = 1_772_416_800_000  # 2026-03-02T02:00:00Z
PLAN = Plan(
    ring_s=30, answer_grace_s=5, ladder=(Rung(channel="voice"),), retry_s=60, attempts=3, later_s=600, exempt_s=3600,
    patience_s=7200, acknowledge_s=0, lease_s=15, asks=3, ask_again_s=2, hand_over_s=100, keep_s=86_400,
)  # fmt: skip
PLANS = Plans(PLAN, {})


def step(transaction: str, word: str, version: int, number: int, offset: int = 0, **more: Any) -> Read:
    contact = contact_id(CARD, transaction)
    value = {
        "contact": contact, "subject": {"alert": transaction}, "customer": "cu1", "class": "fraud", "step": word,
        "time": "2026-03-02T01:00:00.000Z", **more,
    }  # fmt: skip
    headers = [("record_id", f"{contact}:{version}:{number}".encode()), ("writer", b"contact")]
    return Read(msgspec.json.encode(value), b"cu1", 0, offset, NOW_MS, headers)


def asked(transaction: str, offset: int, hours_ago: float = 1, outcome: str = "hold") -> Read:
    record = decision(transaction, outcome, offset, card=CARD)
    moment = b"%d" % round(NOW_MS - hours_ago * 3_600_000)
    record.headers = [(name, moment if name == "source_timestamp" else value) for name, value in record.headers]
    return record


def ledger() -> Ledger:
    return Ledger(NOW_MS - 8 * 86_400_000, DIGESTS)


def test_records_nobody_can_use_are_counted_and_left_out() -> None:
    read = ledger()
    for take in (read.customer, read.contact, read.command, read.label, read.answer, read.result):
        take(Read(b"\xff{"))
    for record_id in (b"", b"ct_1", b"ct_1:x:0", b"xx_1:1:0", b"ct_1:1:-1", b"\xff:1:1"):
        odd = step("tx1", "planned", 1, 0)
        odd.headers = [("record_id", record_id)]
        read.contact(odd)
    found = restored(read, PLANS, NOW_MS)
    assert read.unreadable == 6
    assert (found.conversations, found.nameless) == ([], 0)


def test_a_conversation_of_unknown_card_is_counted() -> None:
    read = ledger()
    read.contact(step("tx1", "planned", 1, 0))
    found = restored(read, PLANS, NOW_MS)
    assert (found.conversations, found.nameless) == ([], 1)


def test_the_first_record_of_an_id_counts() -> None:
    read = ledger()
    read.decided(0, [asked("tx1", 0)])
    read.contact(step("tx1", "planned", 1, 1))
    read.contact(step("tx1", "escalated", 1, 1))
    (one,) = restored(read, PLANS, NOW_MS).conversations
    assert one.conversation.state == "planned"


def test_decisions_older_than_the_oldest_record_of_contacts_are_left_alone() -> None:
    """Kafka has deleted what told of them: that is no sign that nobody was asked."""
    for oldest, position in ((0, ReadUpTo(0, 0)), (9, ReadUpTo(3, 3))):
        read = ledger()
        read.contact(step("tx3", "planned", 1, 1, offset=oldest))
        read.cut_off = {0} if oldest else set()
        read.decided(0, [asked("tx1", 0), asked("tx2", 1), asked("tx3", 2)])
        found = restored(read, PLANS, NOW_MS)
        assert found.positions == {0: position}
        assert (found.again, found.doubtful) == ((2, 0) if oldest == 0 else (0, 2))


def test_decisions_go_on_at_the_first_that_nobody_took_in() -> None:
    read = ledger()
    approved = [decision(f"ok{n}", "approve", n) for n in range(3)]
    read.decided(0, [*approved, asked("tx1", 3), decision("ok4", "approve", 4), asked("tx2", 5), asked("tx3", 6)])
    read.decided(1, [decision("ok", "approve", 0)])
    read.contact(step("tx1", "planned", 1, 1))
    read.contact(step("tx3", "planned", 1, 1))
    found = restored(read, PLANS, NOW_MS)
    assert found.positions == {0: ReadUpTo(5, 5), 1: ReadUpTo(1, 1)}
    assert found.again == 1


def test_who_ended_long_ago_is_forgotten_unless_its_decision_is_read_again() -> None:
    for again in (False, True):
        read = ledger()
        before = [asked("tx0", 0, 100)] if again else []
        read.decided(0, [*before, asked("tx1", 1, 90, "verify")])
        long_ago = "2026-02-26T08:00:00.000Z"
        read.contact(step("tx1", "planned", 1, 0, time=long_ago))
        read.contact(step("tx1", "escalated", 2, 0, time=long_ago, reason="unknown_customer", due=long_ago))
        read.contact(step("tx1", "expired", 3, 0, time=long_ago, reason="nobody_took_over"))
        found = restored(read, PLANS, NOW_MS)
        assert [one.conversation.state for one in found.conversations] == (["expired"] if again else [])
        assert found.forgotten == (0 if again else 1)


def test_an_address_that_two_share_the_beginning_of_is_nobodys() -> None:
    read = ledger()
    read.customer(customer(phones=[{"number": "+8613800138042"}, {"number": "+8613800138043"}]))
    read.decided(0, [asked("tx1", 0)])
    read.contact(step("tx1", "planned", 1, 1))
    read.contact(step("tx1", "sending", 2, 0, attempt=1, channel="voice", to="", rung=0, covers=["tx1"]))
    found = restored(read, PLANS, NOW_MS)
    (attempt,) = found.conversations[0].conversation.attempts
    assert attempt.address == "lost"
    assert [note.key for note in found.notes] == ["c:cu1"]


def test_a_command_whose_steps_are_deleted_begins_no_conversation() -> None:
    """Or its customer would be asked once more about a payment of last week."""
    command = {"id": "x", "card": CARD, "sequence": 5, "command": "hold", "alert": "tx1"}
    contact = contact_id(CARD, "tx1")
    headers = [("record_id", f"{contact}:1:0".encode()), ("writer", b"contact")]
    for days_ago, begun in ((3, []), (0, ["planned"])):
        read = ledger()
        read.command(Read(msgspec.json.encode(command), b"c", 0, 0, NOW_MS - days_ago * 86_400_000, headers))
        read.decided(0, [asked("tx1", 0, days_ago * 24), asked("tx2", 1, 0)])
        read.contact(step("tx2", "planned", 1, 1, offset=77))
        found = restored(read, PLANS, NOW_MS)
        alerts = {alert.id: one.conversation.state for one in found.conversations for alert in one.conversation.alerts}
        assert alerts.pop("tx2") == "planned"
        assert list(alerts.values()) == begun
        assert (found.again, found.doubtful) == (0, 0 if begun else 1)


def test_notes_that_are_there_grow_by_histories_and_wishes_and_keep_the_rest() -> None:
    """A rebuild that was broken off and begun again, or of which some was rescued."""

    def entry(time_ms: int) -> Entry:
        return Entry(time_ms, "fraud", "sms", "ct_1", "message")

    def history(*times_ms: int) -> bytes:
        return contact_history.encode(contact_history.History(tuple(entry(time_ms) for time_ms in times_ms)))

    there = {
        "c:cu1": history(2),
        "w:cu1": wishes.encode(Wishes(stop=("fraud",))),
        "q:n1": b'{"customer":"cu1","asked":["new"]}',
        "x:c1": b"[1]",
    }
    told = {
        "c:cu1": history(1, 2),
        "w:cu1": wishes.encode(Wishes(retired=("d",))),
        "q:n1": b'{"customer":"cu1","asked":["old"]}',
        "x:c1": b"[2]",
        "n:n1": history(3),
    }
    store = MemoryContactStore()
    store.notes.update(there)
    notes = [Note(key, b"", value, None) for key, value in told.items()]
    asyncio.run(Writer(store, NOW_MS).write(ledger(), restored(ledger(), PLANS, NOW_MS)._replace(notes=notes)))
    assert store.notes == {
        **there,
        "c:cu1": history(1, 2),
        "w:cu1": wishes.encode(Wishes(stop=("fraud",), retired=("d",))),
        "n:n1": history(3),
    }


def test_a_notice_is_remembered_and_not_sent_again() -> None:
    read = ledger()
    read.decided(0, [asked("tx1", 0, 1, "notify")])
    read.contact(step("tx1", "planned", 1, 0))
    read.contact(step("tx1", "sending", 1, 1, attempt=1, channel="sms"))
    found = restored(read, PLANS, NOW_MS)
    (one,) = found.conversations
    assert one.conversation.state == "sending"
    assert (one.change.due_ms or 0) < NOW_MS, "its provider is asked about it"
    assert (one.change.alerts, one.change.outbox, one.change.apart) == (["tx1"], [], True)
    assert found.again == 0


def test_what_is_still_to_be_told_adds_up_with_an_agenda_that_is_there() -> None:
    def planned(contact: str, due_ms: int) -> Conversation:
        matter = Matter(id="r1", template="due", until_ms=NOW_MS + 9_000)
        told = Conversation(id=contact, card="", customer="cu1", class_="reminder", channels=("sms",), due_ms=due_ms)
        return msgspec.structs.replace(told, matters=(matter,))

    def noted(*every: Conversation) -> bytes:
        note = b""
        for each in every:
            note = agenda.after(note, each, NOW_MS)
        return note

    store = MemoryContactStore()
    store.notes["o:cu1"] = noted(planned("ct_b", 2))
    again = [Note("o:cu1", b"", noted(planned("ct_a", 1), planned("ct_b", 7)), None)]
    asyncio.run(Writer(store, NOW_MS).write(ledger(), restored(ledger(), PLANS, NOW_MS)._replace(notes=again)))
    assert store.notes["o:cu1"] == noted(planned("ct_a", 1), planned("ct_b", 2))


def test_what_the_risk_team_is_told_of_an_account_is_no_conversation() -> None:
    ledger = Ledger(NOW_MS - 86_400_000, DIGESTS)
    value = {
        "contact": "risk_1", "subject": {"account": "ac1"}, "customer": "cu1", "class": "fraud", "step": "escalated",
        "time": "2026-03-02T01:00:00.000Z", "reason": "bust_out", "account": "ac1",
    }  # fmt: skip
    for time in ("2026-03-02T01:00:00.000Z", "2026-01-02T01:00:00.000Z"):
        record = Read(msgspec.json.encode({**value, "time": time}), b"cu1", 0, 0, NOW_MS, [("record_id", b"risk_1:1")])
        ledger.contact(record)
    assert ledger.all_contacts() == frozenset()
    assert (ledger.unreadable, ledger.newest_ms, ledger.conversations) == (0, 0, 0)
    assert restored(ledger, PLANS, NOW_MS).conversations == []
