"""A role that waits for a server can be told to end."""

import asyncio

import pytest

from pipeline.app.configuration import done_before


def test_work_that_ends_is_waited_for() -> None:
    async def story() -> None:
        assert await done_before(asyncio.Event(), asyncio.sleep(0))

    asyncio.run(story())


def test_work_that_does_not_end_is_given_up_when_told_to_stop() -> None:
    async def story() -> None:
        stop, given_up = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

        asyncio.get_running_loop().call_soon(stop.set)
        assert not await done_before(stop, work())
        assert given_up.is_set()

    asyncio.run(story())


def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise LookupError("no such topic")

    with pytest.raises(LookupError):
        asyncio.run(done_before(asyncio.Event(), work()))
