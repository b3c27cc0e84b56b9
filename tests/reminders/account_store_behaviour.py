"""What an account store must do, whatever it is made of. A test class per store inherits these and gives `run`."""

from collections.abc import Awaitable, Callable

from pipeline.ports_contact import ContactStore, Note, OutboxEntry
from pipeline.ports_reminder import (
    NOTHING_DUE_MS,
    AccountChange,
    AccountMove,
    AccountStore,
    Scheduled,
    Shift,
)

Check = Callable[[AccountStore, ContactStore], Awaitable[None]]
NOW = 1_700_000_000_000
LEASE = 15_000
DAY = 86_400_000
RECORD = '{"id":"ac1","name":"中"}'.encode()


def change(account: str = "ac1", before: bytes = b"", after: bytes = RECORD, **more: object) -> AccountChange:
    return AccountChange(account, before, after, NOW, 0)._replace(**more)  # type: ignore[arg-type]


def entry(name: str) -> OutboxEntry:
    return OutboxEntry(name, "contact-requests", "cu1", '{"id":"%s","x":"中"}'.encode().replace(b"%s", name.encode()))


class AccountStoreBehaviour:
    """Inherit, and implement `run` to give each check a fresh, empty pair of stores on one server."""

    def run(self, check: Check) -> None:
        raise NotImplementedError

    def test_a_record_is_written_with_its_due_moment_outbox_and_position_and_read_back(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            assert await store.position(0) is None
            assert await store.read(["ac1", "ac2"]) == [b"", b""]
            move = AccountMove(0, None, 7)
            done = await store.commit([change(outbox=[entry("e1"), entry("e2")])], NOW, LEASE, move)
            assert done == "stored"
            assert await store.position(0) == 7
            assert await store.position(1) is None
            assert await store.read(["ac2", "ac1"]) == [b"", RECORD]
            assert await store.read([]) == []
            assert await contacts.note("a:ac1") == RECORD
            assert await store.unpublished(NOW + LEASE - 1, LEASE, 10) == []
            assert await store.unpublished(NOW + LEASE, LEASE, 10) == [entry("e1"), entry("e2")]

        self.run(check)

    def test_a_change_of_what_is_no_longer_as_read_is_refused_and_writes_nothing(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change()], NOW, LEASE)
            for wrong in (change(), change(before=b"{}")):
                steps = [change("ac9", outbox=[entry("e9")]), wrong]
                assert await store.commit(steps, NOW, LEASE, AccountMove(0, None, 1)) == "changed"
            assert await store.read(["ac9"]) == [b""]
            assert await store.position(0) is None
            assert await store.unpublished(NOW + LEASE, LEASE, 10) == []
            assert await store.commit([change(before=RECORD, after=b"{}")], NOW, LEASE) == "stored"
            assert await store.read(["ac1"]) == [b"{}"]

        self.run(check)

    def test_a_change_that_stays_keeps_the_moment_there_is_and_gives_one_where_there_is_none(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change(stays=True)], NOW, LEASE)
            assert await store.day(0, 0, NOTHING_DUE_MS, None, 9) == [Scheduled("ac1", NOW)]
            later = change(before=RECORD, after=b"{}", due_ms=NOW + DAY)
            await store.commit([later._replace(stays=True)], NOW, LEASE)
            assert await store.day(0, 0, NOTHING_DUE_MS, None, 9) == [Scheduled("ac1", NOW)]
            await store.commit([later._replace(before=b"{}", after=RECORD)], NOW, LEASE)
            assert await store.day(0, 0, NOTHING_DUE_MS, None, 9) == [Scheduled("ac1", NOW + DAY)]
            await store.commit([change(before=RECORD, due_ms=None, stays=True)], NOW, LEASE)
            assert await store.day(0, 0, NOTHING_DUE_MS, None, 9) == []

        self.run(check)

    def test_a_position_is_moved_only_by_who_knows_it(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            assert await store.commit([], NOW, LEASE, AccountMove(3, None, 5)) == "stored"
            assert await store.commit([change()], NOW, LEASE, AccountMove(3, None, 6)) == "moved"
            assert await store.commit([change()], NOW, LEASE, AccountMove(3, None, 5)) == "already"
            assert await store.commit([change()], NOW, LEASE, AccountMove(3, 4, 6)) == "moved"
            assert await store.read(["ac1"]) == [b""]
            assert await store.commit([change()], NOW, LEASE, AccountMove(3, 5, 6)) == "stored"
            assert await store.position(3) == 6

        self.run(check)

    def test_a_contact_claimed_against_an_older_record_is_refused(self) -> None:
        """The race-safe stop: whoever claims an attempt compares what is owed in the same step."""

        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change()], NOW, LEASE)
            read = await contacts.note("a:ac1")
            await store.commit([change(before=RECORD, after=b'{"paid":1}')], NOW, LEASE)
            stale = await contacts.commit([], NOW, LEASE, LEASE, notes=[Note("a:ac1", read, read, None)])
            assert stale.outcome == "changed"
            now = await contacts.note("a:ac1")
            fresh = await contacts.commit([], NOW, LEASE, LEASE, notes=[Note("a:ac1", now, now, None)])
            assert fresh.outcome == "stored"
            assert await store.read(["ac1"]) == [b'{"paid":1}']

        self.run(check)

    def test_what_is_due_is_claimed_once_per_lease_the_longest_due_first(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            moments = {"ac1": NOW, "ac2": NOW - 5, "ac3": NOW + 1, "ac4": NOW - 1}
            partitions = {"ac4": 1}
            await store.commit(
                [change(name, due_ms=at, partition=partitions.get(name, 0)) for name, at in moments.items()], NOW, LEASE
            )
            assert await store.claim([2], NOW, LEASE, 10) == []
            first = await store.claim([0, 1], NOW, LEASE, 2)
            assert [(one.account, one.value, one.due_ms, one.partition) for one in first] == [
                ("ac2", RECORD, NOW - 5, 0),
                ("ac1", RECORD, NOW, 0),
            ]
            (second,) = await store.claim([0, 1], NOW, LEASE, 2)
            assert (second.account, second.due_ms, second.partition) == ("ac4", NOW - 1, 1)
            assert await store.claim([0, 1], NOW, LEASE, 2) == []
            again = await store.claim([0], NOW + LEASE, LEASE, 10)
            assert {(one.account, one.due_ms) for one in again} == {
                ("ac1", NOW + LEASE),
                ("ac2", NOW + LEASE),
                ("ac3", NOW + 1),
            }

        self.run(check)

    def test_an_account_with_nothing_due_is_in_no_schedule(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change()], NOW, LEASE)
            await store.commit([change(before=RECORD, due_ms=None)], NOW, LEASE)
            assert await store.claim([0], NOW + DAY, LEASE, 10) == []
            assert await store.read(["ac1"]) == [RECORD]

        self.run(check)

    def test_a_day_is_read_in_pages_by_due_moment(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            moments = {f"ac{number}": NOW + number // 3 for number in range(10)}
            moments |= {"early": NOW - 1, "late": NOW + DAY, "never": NOTHING_DUE_MS}
            await store.commit([change(name, due_ms=at) for name, at in moments.items()], NOW, LEASE)
            pages, after = [], None
            while page := await store.day(0, NOW, NOW + DAY, after, 4):
                pages.append(page)
                after = page[-1]
            assert [len(page) for page in pages] == [4, 4, 2]
            found = [one for page in pages for one in page]
            assert found == [Scheduled(f"ac{number}", NOW + number // 3) for number in range(10)]
            assert await store.day(1, NOW, NOW + DAY, None, 4) == []
            (last,) = await store.day(0, NOW + DAY + 1, NOTHING_DUE_MS + 1, None, 4)
            assert last == Scheduled("never", NOTHING_DUE_MS)

        self.run(check)

    def test_a_page_goes_on_behind_an_account_that_was_moved_meanwhile(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change(f"ac{number}", due_ms=NOW + number) for number in range(4)], NOW, LEASE)
            page = await store.day(0, NOW, NOW + DAY, None, 2)
            assert await store.put_due(0, [Shift("ac1", NOW + 1, NOW - 9)]) == 1
            rest = await store.day(0, NOW, NOW + DAY, page[-1], 2)
            assert [one.account for one in rest] == ["ac2", "ac3"]

        self.run(check)

    def test_only_what_is_still_due_as_read_is_moved(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change("ac1"), change("ac2", due_ms=NOW + 5)], NOW, LEASE)
            shifts = [Shift("ac1", NOW, NOW + 60), Shift("ac2", NOW, NOW + 60), Shift("ac3", NOW, NOW + 60)]
            assert await store.put_due(0, shifts) == 1
            assert await store.put_due(0, []) == 0
            assert await store.day(0, 0, NOTHING_DUE_MS, None, 9) == [
                Scheduled("ac2", NOW + 5),
                Scheduled("ac1", NOW + 60),
            ]

        self.run(check)

    def test_entries_are_left_to_others_when_the_lease_ends_until_they_are_published(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.commit([change(outbox=[entry("e1")])], NOW, LEASE)
            await store.commit([change("ac2", outbox=[entry("e2")])], NOW + 1, LEASE)
            assert [one.id for one in await store.unpublished(NOW + 2 * LEASE, LEASE, 1)] == ["e1"]
            assert [one.id for one in await store.unpublished(NOW + 2 * LEASE, LEASE, 5)] == ["e2"]
            assert await store.unpublished(NOW + 2 * LEASE, LEASE, 5) == []
            await store.published(["e1"])
            await store.published([])
            assert [one.id for one in await store.unpublished(NOW + 9 * LEASE, LEASE, 5)] == ["e2"]

        self.run(check)

    def test_what_a_partition_was_planned_for_is_remembered(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            assert await store.planned(0) == ""
            await store.put_planned(0, "2026-01-01 p1")
            assert [await store.planned(0), await store.planned(1)] == ["2026-01-01 p1", ""]

        self.run(check)

    def test_the_mark_up_to_which_a_partition_is_taken_in_never_goes_back(self) -> None:
        async def check(store: AccountStore, contacts: ContactStore) -> None:
            await store.mark({0: NOW, 1: NOW + 5})
            await store.mark({0: NOW - 1, 1: NOW + 6})
            await store.mark({})
            assert await contacts.note("f:0") == b"%d" % NOW
            assert await contacts.note("f:1") == b"%d" % (NOW + 6)
            assert await contacts.note("f:2") == b""

        self.run(check)
