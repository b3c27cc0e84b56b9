"""What a contact store must do, whatever it is made of. A test class per store inherits these and gives `run`."""

import asyncio
from collections.abc import Awaitable, Callable

from pipeline.ports import Asked, Change, ContactStore, DirectoryEntry, Move, Note, OutboxEntry, ReadUpTo

Check = Callable[[ContactStore], Awaitable[None]]
NOW = 1_700_000_000_000
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
    """Inherit, and implement `run` to give each check a fresh, empty store."""

    def run(self, check: Check) -> None:
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
