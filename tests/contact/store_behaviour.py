"""What a contact store must do, whatever it is made of. A test class per store inherits these and gives `run`."""

import asyncio
from collections.abc import Awaitable, Callable

from pipeline.core.conversation import contact_id
from pipeline.ports_contact import Asked, Change, ContactStore, DirectoryEntry, Move, Note, OutboxEntry, ReadUpTo

Check = Callable[[ContactStore], Awaitable[None]]
NOW = 1_700_000_000_000
EARLIER = NOW - 5_000
LEASE = 15_000
KEEP = 3_600_000


def command(name: str, card: str = "tok_1") -> OutboxEntry:
    return OutboxEntry(
        name, "card-commands", card, b'{"id":"%s","sequence":0,"x":"\xe4\xb8\xad"}' % name.encode(), True
    )


def change(contact: str = "ct_1", card: str = "tok_1", version: int = 0, **more: object) -> Change:
    base = Change(contact, card, "cu1", version, b'{"v":"\xe4\xb8\xad"}', NOW, True)
    return base._replace(**more)  # type: ignore[arg-type]


class ContactStoreBehaviour:
    """Inherit, and implement `run` to give each check a fresh, empty store; `unschedule` and `lose` damage it."""

    def run(self, check: Check) -> None:
        raise NotImplementedError

    async def unschedule(self, store: ContactStore, contact: str) -> None:
        """Take the due step from a conversation, as no step of the store would."""
        raise NotImplementedError

    async def lose(self, store: ContactStore, contact: str) -> None:
        """Take a conversation and its due step away, as no step of the store would."""
        raise NotImplementedError

    def test_a_change_is_written_whole_and_read_back(self) -> None:
        async def check(store: ContactStore) -> None:
            entries = [command("e1"), OutboxEntry("e2", "contacts", "cu1", b"{}")]
            done = await store.commit([change(alerts=["tx1"], outbox=entries)], NOW, LEASE, KEEP)
            assert done.outcome == "stored"
            assert [entry.id for entry in done.outbox] == ["e1", "e2"]
            assert done.outbox[0].value == b'{"id":"e1","sequence":%d,"x":"\xe4\xb8\xad"}' % NOW
            kept = await store.conversation("ct_1")
            assert kept is not None
            assert (kept.contact, kept.version, kept.value, kept.customer) == ("ct_1", 1, b'{"v":"\xe4\xb8\xad"}', None)
            assert await store.conversation("ct_2") is None
            assert await store.open_count() == 1
            (seen,) = await store.look([Asked("tok_1", None, "tx1")])
            assert seen.open is not None
            assert seen.open[:3] == kept[:3]
            assert (seen.known, seen.customer, seen.record) == (True, None, None)

        self.run(check)

    def test_a_note_that_is_only_compared_stops_a_change_and_is_not_written(self) -> None:
        async def check(store: ContactStore) -> None:
            note = Note("a:ac1", b"", b"owed", None)
            assert (await store.commit([], NOW, LEASE, KEEP, notes=[note])).outcome == "stored"
            same = Note("a:ac1", b"owed", b"owed", None)
            assert (await store.commit([change()], NOW, LEASE, KEEP, notes=[same])).outcome == "stored"
            assert await store.note("a:ac1") == b"owed"
            nothing = Note("a:ac2", b"", b"", None)
            assert (await store.commit([], NOW, LEASE, KEEP, notes=[nothing])).outcome == "stored"
            assert (await store.commit([], NOW, LEASE, KEEP, notes=[note._replace(after=b"")])).outcome == "changed"
            paid = Note("a:ac1", b"owed", b"paid", None)
            assert (await store.commit([], NOW, LEASE, KEEP, notes=[paid])).outcome == "stored"
            assert (await store.commit([change(version=1)], NOW, LEASE, KEEP, notes=[same])).outcome == "changed"
            kept = await store.conversation("ct_1")
            assert kept is not None
            assert kept.version == 1

        self.run(check)

    def test_a_change_from_an_old_version_or_a_second_beginning_is_refused_and_writes_nothing(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.commit([change(alerts=["tx1"])], NOW, LEASE, KEEP)
            good = change("ct_9", "tok_9")
            for wrong in (change(version=0), change(version=2), change("ct_2"), change("ct_3", "tok_1", open=True)):
                done = await store.commit([good, wrong], NOW, LEASE, KEEP)
                assert done.outcome == "changed"
            repeated = change("ct_4", "tok_1", open=False, alerts=["tx1"])
            assert (await store.commit([repeated], NOW, LEASE, KEEP)).outcome == "changed"
            assert await store.conversation("ct_9") is None
            assert (await store.commit([change(version=1)], NOW, LEASE, KEEP)).outcome == "stored"

        self.run(check)

    def test_a_card_is_free_again_when_its_conversation_ends(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.commit([change()], NOW, LEASE, KEEP)
            await store.commit([change(version=1, due_ms=None, open=False)], NOW, LEASE, KEEP)
            assert await store.open_count() == 0
            assert await store.claim(NOW, LEASE, 10) == []
            assert (await store.commit([change("ct_2")], NOW, LEASE, KEEP)).outcome == "stored"
            reopened = await store.commit([change(version=2)], NOW, LEASE, KEEP)
            assert reopened.outcome == "stored"
            (seen,) = await store.look([Asked("tok_1", None, "tx1")])
            assert seen.open is not None
            assert seen.open.contact == "ct_2"

        self.run(check)

    def test_what_has_ended_may_still_come_due(self) -> None:
        """A call promised about it."""

        async def check(store: ContactStore) -> None:
            await store.commit([change(due_ms=NOW + 60_000)], NOW, LEASE, KEEP)
            await store.commit([change(version=1, due_ms=NOW + 30_000, open=False)], NOW, LEASE, KEEP)
            assert await store.claim(NOW + 29_999, LEASE, 10) == []
            (kept,) = await store.claim(NOW + 30_000, LEASE, 10)
            assert (kept.contact, kept.version) == ("ct_1", 2)
            assert await store.open_count() == 0
            await store.commit([change(version=2, due_ms=None, open=False)], NOW, LEASE, KEEP)
            assert await store.claim(NOW + LEASE + 90_000, LEASE, 10) == []

        self.run(check)

    def test_of_two_that_read_the_same_note_one_acts(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.put_customers([DirectoryEntry("cu1", b"{}", ["tok_1"], ["c:cu1", "n:1"])])
            (seen,) = await store.look([Asked("tok_1", None, "tx1")])
            assert seen.notes == {"c:cu1": b"", "n:1": b"", "x:tok_1": b""}
            notes = [Note("n:1", b"", b"[1]", KEEP)]
            assert (await store.commit([change()], NOW, LEASE, KEEP, notes=notes)).outcome == "stored"
            late = await store.commit([change("ct_2", "tok_2")], NOW, LEASE, KEEP, notes=notes)
            assert late.outcome == "changed"
            assert await store.conversation("ct_2") is None
            kept = await store.conversation("ct_1")
            assert kept is not None
            assert kept.notes == {"c:cu1": b"", "n:1": b"[1]", "x:tok_1": b""}
            (claimed,) = await store.claim(NOW, LEASE, 1)
            assert claimed.notes == kept.notes
            again = [Note("n:1", b"[1]", b"[1,2]", None)]
            assert (await store.commit([], NOW, LEASE, KEEP, notes=again)).outcome == "stored"

        self.run(check)

    def test_the_note_on_a_card_is_read_with_its_conversation(self) -> None:
        async def check(store: ContactStore) -> None:
            for card in (
                "tok_k1_00ff112233445566778899aabbccddee",
                "tok_1",
                "tok_k1_00ff112233445566778899aabbccddeeff",
            ):
                contact, note = contact_id(card, "tx"), Note(f"x:{card}", b"", b"[7]", KEEP)
                await store.commit([change(contact, card)], NOW, LEASE, KEEP, notes=[note])
                kept = await store.conversation(contact)
                assert kept is not None
                assert kept.notes == {f"x:{card}": b"[7]"}

        self.run(check)

    def test_a_customer_is_read_with_the_notes_on_them(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.put_customers([DirectoryEntry("cu1", b"{}", ["tok_1"], ["c:cu1", "n:1"])])
            await store.commit([], NOW, LEASE, KEEP, notes=[Note("n:1", b"", b"[1]", KEEP)])
            assert await store.customer("cu1") == (b"{}", {"c:cu1": b"", "n:1": b"[1]"})
            assert await store.customer("cu2") == (None, {})

        self.run(check)

    def test_a_dossier_grows_with_its_conversation_or_not_at_all(self) -> None:
        async def check(store: ContactStore) -> None:
            entries = ['{"是":1}'.encode(), b"\xff\x00 not even text"]
            first = change(dossier=entries, dossier_ms=KEEP)
            other = change("ct_2", "tok_2", dossier=[b"other"], dossier_ms=KEEP)
            assert (await store.commit([first, other], NOW, LEASE, KEEP)).outcome == "stored"
            assert (await store.commit([first], NOW, LEASE, KEEP)).outcome == "changed"
            ended = change(version=1, due_ms=None, open=False, dossier=[b"end"], dossier_ms=KEEP)
            await store.commit([ended], NOW, LEASE, KEEP)
            assert await store.dossier("ct_1") == [*entries, b"end"]
            assert await store.dossier("ct_2") == [b"other"]
            assert await store.dossier("ct_3") == []

        self.run(check)

    def test_a_position_moves_only_from_where_it_is(self) -> None:
        async def check(store: ContactStore) -> None:
            assert await store.position(3) is None
            first = Move(3, None, ReadUpTo(10, 20))
            assert (await store.commit([], NOW, LEASE, KEEP, first)).outcome == "stored"
            assert (await store.commit([change()], NOW, LEASE, KEEP, first)).outcome == "already"
            behind = Move(3, ReadUpTo(9, 9), ReadUpTo(11, 21))
            assert (await store.commit([change()], NOW, LEASE, KEEP, behind)).outcome == "moved"
            assert await store.conversation("ct_1") is None
            onward = Move(3, ReadUpTo(10, 20), ReadUpTo(11, 21))
            assert (await store.commit([change(version=5)], NOW, LEASE, KEEP, onward)).outcome == "changed"
            assert await store.position(3) == ReadUpTo(10, 20)
            assert (await store.commit([change()], NOW, LEASE, KEEP, onward)).outcome == "stored"
            assert await store.position(3) == ReadUpTo(11, 21)

        self.run(check)

    def test_numbers_of_a_card_only_rise_even_when_the_clock_goes_back(self) -> None:
        async def check(store: ContactStore) -> None:
            numbers = []
            for version, now in enumerate((NOW, NOW - 5_000, NOW + 7)):
                entries = [command(f"{version}a"), command(f"{version}b")]
                done = await store.commit([change(version=version, outbox=entries)], now, LEASE, KEEP)
                numbers += [int(entry.value.split(b'"sequence":')[1].split(b",")[0]) for entry in done.outbox]
            assert numbers == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 7, NOW + 8]

        self.run(check)

    def test_what_is_due_is_claimed_once_and_again_when_the_lease_ends(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.put_customers([DirectoryEntry("cu1", b"record", ["tok_1"])])
            await store.commit([change(), change("ct_2", "tok_2", due_ms=NOW + 1)], NOW, LEASE, KEEP)
            (claimed,) = await store.claim(NOW, LEASE, 10)
            assert (claimed.contact, claimed.version, claimed.customer) == ("ct_1", 1, b"record")
            assert await store.claim(NOW, LEASE, 10) == []
            assert [kept.contact for kept in await store.claim(NOW + LEASE, LEASE, 1)] == ["ct_2"]
            assert [kept.contact for kept in await store.claim(NOW + LEASE, LEASE, 1)] == ["ct_1"]

        self.run(check)

    def test_questions_are_claimed_first_and_others_by_their_class_as_far_as_there_is_room_for_them(self) -> None:
        async def check(store: ContactStore) -> None:
            others = ("marketing", "service", "collection", "reminder")
            told = [change(f"ct_{class_}", "", due_ms=EARLIER, class_=class_, apart=True) for class_ in others]
            assert (await store.commit([*told, change("ct_ask")], NOW, LEASE, KEEP)).outcome == "stored"
            assert [kept.contact for kept in await store.claim(NOW, LEASE, 9, 2)] == [
                "ct_ask",
                "ct_collection",
                "ct_reminder",
            ]
            assert await store.claim(NOW, LEASE, 9) == []
            assert [kept.contact for kept in await store.claim(NOW, LEASE, 1, 9)] == ["ct_service"]
            assert [kept.contact for kept in await store.claim(NOW + LEASE, LEASE, 2, 9)] == ["ct_ask", "ct_collection"]
            assert [await store.open_count(class_) for class_ in ("fraud", *others)] == [1] * 5
            await store.commit(
                [change("ct_service", "", 1, due_ms=None, open=False, class_="service", apart=True)], NOW, LEASE, KEEP
            )
            assert await store.open_count("service") == 0

        self.run(check)

    def test_what_stands_apart_is_joined_by_nothing_and_hinders_nothing(self) -> None:
        async def check(store: ContactStore) -> None:
            notice = change(apart=True, alerts=["tx1"])
            assert (await store.commit([notice], NOW, LEASE, KEEP)).outcome == "stored"
            (seen,) = await store.look([Asked("tok_1", None, "tx1")])
            assert (seen.open, seen.known) == (None, True)
            assert (await store.commit([change("ct_2")], NOW, LEASE, KEEP)).outcome == "stored"
            assert (await store.commit([change("ct_3", apart=True)], NOW, LEASE, KEEP)).outcome == "stored"
            over = change(version=1, due_ms=None, open=False, apart=True)
            assert (await store.commit([over], NOW, LEASE, KEEP)).outcome == "stored"
            (seen,) = await store.look([Asked("tok_1", None, "tx2")])
            assert seen.open is not None
            assert seen.open.contact == "ct_2"

        self.run(check)

    def test_the_outbox_is_its_writers_for_a_lease_and_then_anybodys_until_forgotten(self) -> None:
        async def check(store: ContactStore) -> None:
            done = await store.commit([change(outbox=[command("e1"), command("e2")])], NOW, LEASE, KEEP)
            assert await store.unpublished(NOW + LEASE - 1, LEASE, 10) == []
            left = await store.unpublished(NOW + LEASE, LEASE, 10)
            assert list(left) == list(done.outbox)
            assert await store.unpublished(NOW + LEASE, LEASE, 10) == []
            await store.published(["e1"])
            await store.published([])
            assert [entry.id for entry in await store.unpublished(NOW + 2 * LEASE, LEASE, 10)] == ["e2"]

        self.run(check)

    def test_the_directory_finds_customers_by_card_and_forgets_them(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.put_customers([DirectoryEntry("cu1", b"one", ["tok_1", "tok_2"])])
            await store.put_customers([DirectoryEntry("cu2", b"two", [])])
            seen = await store.look([Asked("tok_2", None, "x"), Asked("tok_9", "cu2", "x"), Asked("tok_9", None, "x")])
            assert [(one.customer, one.record) for one in seen] == [("cu1", b"one"), ("cu2", b"two"), (None, None)]
            await store.put_customers([DirectoryEntry("cu1", b"new", ["tok_1"])])
            await store.put_customers([DirectoryEntry("cu2", b"two", ["tok_1"])])
            await store.put_customers([DirectoryEntry("cu1", None, [])])
            seen = await store.look([Asked("tok_1", None, "x"), Asked("tok_2", None, "x"), Asked("tok_1", "cu1", "x")])
            assert [(one.customer, one.record) for one in seen] == [("cu2", b"two"), (None, None), ("cu1", None)]

        self.run(check)

    def test_of_many_workers_claiming_together_each_conversation_goes_to_one(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.commit([change(f"ct_{n}", f"tok_{n}") for n in range(30)], NOW, LEASE, KEEP)
            hauls = await asyncio.gather(*(store.claim(NOW, LEASE, 4) for _ in range(10)))
            claimed = [kept.contact for haul in hauls for kept in haul]
            assert len(claimed) == len(set(claimed)) == 30

        self.run(check)

    def test_an_alert_is_remembered_with_the_conversation_it_began_or_joined(self) -> None:
        async def check(store: ContactStore) -> None:
            first = contact_id("tok_1", "tx1")
            await store.commit([change(first, alerts=["tx1", "tx2"])], NOW, LEASE, KEEP)
            await store.commit([change(first, version=1, due_ms=None, open=False)], NOW, LEASE, KEEP)
            seen = await store.look([Asked("tok_1", None, "tx1"), Asked("tok_1", None, "tx2")])
            assert [one.known for one in seen] == [True, True]
            others = await store.look([Asked("tok_1", None, "tx3"), Asked("tok_2", None, "tx1")])
            assert [one.known for one in others] == [False, False]
            for alert in ("tx1", "tx2"):
                again = change("ct_9", alerts=[alert])
                assert (await store.commit([again], NOW, LEASE, KEEP)).outcome == "changed"

        self.run(check)

    def test_a_dossier_is_whole_before_and_after_the_end_and_when_the_conversation_opens_again(self) -> None:
        async def check(store: ContactStore) -> None:
            written: list[bytes] = []
            for version, is_open in enumerate((True, True, False, False, True, False)):
                made = [b'{"hash":"%064x","n":%d}' % (number * 7**60, number) for number in range(version + 1)]
                due_ms = NOW if is_open else None
                one = change(version=version, open=is_open, due_ms=due_ms, dossier=made, dossier_ms=KEEP)
                assert (await store.commit([one], NOW, LEASE, KEEP)).outcome == "stored"
                written += made
                assert await store.dossier("ct_1") == written
                kept = await store.conversation("ct_1")
                assert kept is not None
                assert kept.value == one.value

        self.run(check)

    def test_a_sweep_finds_nothing_where_all_is_well(self) -> None:
        async def check(store: ContactStore) -> None:
            assert await store.sweep(0, 10) == (0, 0, 0)
            await store.commit([change(f"ct_{n}", f"tok_{n}") for n in range(30)], NOW, LEASE, KEEP)
            assert await store.sweep(0, 100) == (0, 0, 0)
            assert await store.open_count() == 30

        self.run(check)

    def test_an_open_conversation_without_a_due_step_gets_the_one_it_had(self) -> None:
        async def check(store: ContactStore) -> None:
            changes = [change(f"ct_{n}", f"tok_{n}", due_ms=NOW + n) for n in range(1200)]
            await store.commit(changes, NOW, LEASE, KEEP)
            await self.unschedule(store, "ct_7")
            await self.unschedule(store, "ct_444")
            cursor, scheduled, sweeps = 0, 0, 0
            while cursor or not sweeps:
                cursor, found, dropped = await store.sweep(cursor, 50)
                scheduled, sweeps = scheduled + found, sweeps + 1
                assert dropped == 0
            assert scheduled == 2
            assert 10 <= sweeps <= 60
            due = [kept.contact for kept in await store.claim(NOW + 7, LEASE, 100)]
            assert due == [f"ct_{n}" for n in range(8)]
            assert "ct_444" in [kept.contact for kept in await store.claim(NOW + 444, LEASE, 1200)]

        self.run(check)

    def test_what_is_open_and_in_no_schedule_is_found_whatever_it_is_about(self) -> None:
        async def check(store: ContactStore) -> None:
            cards = [change(f"ct_{n}", f"tok_{n}") for n in range(30)]
            told = [
                change(f"ct_{class_}_{n}", "", class_=class_, apart=True)
                for class_ in ("fraud", "service", "reminder", "collection", "marketing")
                for n in range(30)
            ]
            ended = [change(f"ct_ended_{n}", "", apart=True, open=False, due_ms=None) for n in range(30)]
            await store.commit([*cards, *told, *ended], NOW, LEASE, KEEP)
            assert await self.strays(store) == set()
            lost = {"ct_3", "ct_fraud_7", "ct_service_0", "ct_marketing_29"}
            for contact in lost:
                await self.unschedule(store, contact)
            assert await self.strays(store) == lost

        self.run(check)

    async def strays(self, store: ContactStore) -> set[str]:
        found, cursor = set[str](), -1
        while cursor:
            cursor, contacts = await store.strays(max(0, cursor), 20)
            found.update(contacts)
        return found

    def test_a_card_whose_conversation_is_gone_is_free_again(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.commit([change(), change("ct_2", "tok_2")], NOW, LEASE, KEEP)
            await self.lose(store, "ct_1")
            assert await store.sweep(0, 10) == (0, 0, 1)
            assert await store.open_count() == 1
            (seen,) = await store.look([Asked("tok_2", None, "tx1")])
            assert seen.open is not None

        self.run(check)

    def test_a_conversation_put_back_goes_on_above_its_versions_and_its_cards_numbers(self) -> None:
        async def check(store: ContactStore) -> None:
            back = change(becomes=1007, number=NOW + 500, outbox=[command("old")])
            done = await store.commit([back], NOW, LEASE, KEEP)
            assert b'"sequence":%d' % (NOW + 501) in done.outbox[0].value
            kept = await store.conversation("ct_1")
            assert kept is not None
            assert kept.version == 1007
            assert (await store.commit([change(becomes=2000)], NOW, LEASE, KEEP)).outcome == "changed"
            done = await store.commit([change(version=1007, number=3, outbox=[command("new")])], NOW, LEASE, KEEP)
            assert b'"sequence":%d' % (NOW + 502) in done.outbox[0].value
            kept = await store.conversation("ct_1")
            assert kept is not None
            assert kept.version == 1008

        self.run(check)

    def test_what_is_open_is_told_with_its_time(self) -> None:
        async def check(store: ContactStore) -> None:
            assert [one async for some in store.opened() for one in some] == []
            many = [change(f"ct_{n}", f"tok_{n}", due_ms=NOW + n) for n in range(90)]
            for start in range(0, 90, 30):
                await store.commit(many[start : start + 30], NOW, LEASE, KEEP)
            await store.commit(
                [change("ct_x", "tok_x", due_ms=None), change("ct_e", "tok_e", open=False)], NOW, LEASE, KEEP
            )
            found = {one.contact: one for some in [some async for some in store.opened()] for one in some}
            assert found.keys() == {*(one.contact for one in many), "ct_x"}
            assert found["ct_7"] == ("ct_7", 1, many[7].value, NOW + 7)
            assert found["ct_x"].due_ms is None

        self.run(check)

    def test_outbox_entries_past_their_lease_are_named_and_left_alone(self) -> None:
        async def check(store: ContactStore) -> None:
            await store.commit([change(outbox=[command("e1"), command("e2")])], NOW, LEASE, KEEP)
            assert await store.overdue(NOW + LEASE - 1) == []
            for _ in range(2):
                assert await store.overdue(NOW + LEASE) == ["e1", "e2"]
            assert len(await store.unpublished(NOW + LEASE, LEASE, 10)) == 2

        self.run(check)
