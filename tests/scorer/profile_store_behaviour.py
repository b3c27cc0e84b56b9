"""What a store of card rows must do, whatever it is made of. A test class per store inherits these and gives `run`."""

from collections.abc import Awaitable, Callable

from scorer_world import row_of

from pipeline.ports import ProfileStore

Check = Callable[[ProfileStore], Awaitable[None]]
MANY = {b"tok_%04d" % number: row_of(b"%d" % number) for number in range(23)}


async def loaded(store: ProfileStore, partition: int = 0) -> dict[bytes, bytes]:
    return {card: row async for some in store.load(partition) for card, row in some.items()}


class ProfileStoreBehaviour:
    """Inherit, and implement `run` to give each check a fresh, empty store."""

    def run(self, check: Check) -> None:
        raise NotImplementedError

    def test_rows_and_position_are_found_again(self) -> None:
        async def check(store: ProfileStore) -> None:
            assert await store.take(0, "a") == ("a", 0, None, None)
            assert await store.save(0, "a", 1, 10, {b"tok_1": row_of(b"1")}) == "saved"
            assert await store.save(0, "a", 2, 20, MANY) == "saved", "many rows, or few: one save"
            assert await loaded(store) == MANY | {b"tok_1": row_of(b"1")}
            assert (await store.position(0))[:3] == ("a", 2, 20)
            assert await store.take(0, "b") == ("b", 2, 20, "a")
            assert await loaded(store, 1) == {}

        self.run(check)

    def test_a_save_counts_once_and_only_in_its_turn(self) -> None:
        async def check(store: ProfileStore) -> None:
            await store.take(0, "a")
            for rows in ({b"tok_0000": row_of(b"x")}, MANY):
                sequence = (await store.position(0)).sequence
                assert await store.save(0, "a", sequence + 1, 10, rows) == "saved"
                assert await store.save(0, "a", sequence + 1, 99, {b"tok_0000": row_of(b"y")}) == "already"
                assert await store.save(0, "a", sequence + 3, 99, MANY) == "refused"
                assert await store.save(0, "z", sequence + 2, 99, MANY) == "refused"
            assert await loaded(store) == MANY
            assert (await store.position(0)).next_offset == 10

        self.run(check)

    def test_an_archived_row_is_not_loaded_and_comes_back_to_the_byte(self) -> None:
        async def check(store: ProfileStore) -> None:
            await store.take(0, "a")
            await store.save(0, "a", 1, 10, MANY)
            old = dict(list(MANY.items())[:5])
            assert await store.archive(0, "a", 1, old, b"five marks")
            assert await store.archive(0, "a", 1, {b"tok_0007": MANY[b"tok_0007"]}, b", one more")
            assert await store.marks(0) == b"five marks, one more"
            assert (await loaded(store)).keys() == MANY.keys() - old.keys() - {b"tok_0007"}
            assert await store.wake(0, "a", 1, [*old, b"tok_new"]) == old
            assert await store.wake(0, "a", 1, [b"tok_0009"]) == {b"tok_0009": MANY[b"tok_0009"]}, "never archived"

        self.run(check)

    def test_a_row_saved_after_it_woke_is_the_one_that_counts(self) -> None:
        async def check(store: ProfileStore) -> None:
            await store.take(0, "a")
            await store.save(0, "a", 1, 10, {b"tok_1": row_of(b"1")})
            await store.archive(0, "a", 1, {b"tok_1": row_of(b"1")}, b"12345678")
            await store.save(0, "a", 2, 11, {b"tok_1": row_of(b"12")})
            assert await loaded(store) == {b"tok_1": row_of(b"12")}
            assert await store.wake(0, "a", 2, [b"tok_1"]) == {b"tok_1": row_of(b"12")}
            await store.archive(0, "a", 2, {b"tok_1": row_of(b"12")}, b"12345678")
            assert await loaded(store) == {}
            assert await store.wake(0, "a", 2, [b"tok_1"]) == {b"tok_1": row_of(b"12")}

        self.run(check)

    def test_the_archive_is_for_the_owner_in_step_with_the_store(self) -> None:
        async def check(store: ProfileStore) -> None:
            await store.take(0, "a")
            for sequence in (1, 2, 3):
                await store.save(0, "a", sequence, sequence, MANY)
            for token, sequence in (("z", 3), ("a", 1), ("a", 4)):
                assert not await store.archive(0, token, sequence, MANY, b"marks")
                assert await store.wake(0, token, sequence, list(MANY)) is None
            assert await loaded(store) == MANY
            assert await store.marks(0) == b""
            assert await store.wake(0, "a", 2, list(MANY)) == MANY, "the answer to save 3 may be on its way"

        self.run(check)
