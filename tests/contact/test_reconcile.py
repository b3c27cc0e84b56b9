"""The contact store compared with the topics: each kind of difference is found, and mended where it can be."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from cascade_world import CARD, cascade_config
from contact_world import decision, until_done
from rebuild_world import LosingCascade

from pipeline.adapters.almanac import world_almanac
from pipeline.core.conversation import contact_id
from pipeline.roles.contact.profile import read_profile
from pipeline.roles.contact.reconcile import Difference, differences, repair

CONTACT = contact_id(CARD, "tx1")


class Compared:
    """A cascade in the middle of its story, its store and its topics to be set at odds."""

    def __init__(self, path: Path) -> None:
        self.cascade = LosingCascade(cascade_config(path / "config"))
        self.plans = read_profile(self.cascade.config, "demo", world_almanac()).plans

    @property
    def now_ms(self) -> int:
        return round(self.cascade.world.clock.now() * 1000)

    async def go_on(self, script: str) -> None:
        for line in script.split(", "):
            verb, _, word = line.partition(" ")
            await getattr(self.cascade, f"do_{verb}")(word)
            await until_done(self.cascade.role)

    async def found(self) -> list[Difference]:
        return await differences(await self.cascade.ledger(), self.cascade.world.store, self.plans, self.now_ms)

    async def mended(self) -> int:
        world = self.cascade.world
        found, ledger = await self.found(), await self.cascade.ledger()
        return await repair(found, ledger, world.store, world.log, self.plans, self.now_ms)


def told(path: Path, story: Callable[[Compared], Awaitable[None]]) -> None:
    async def go() -> None:
        compared = Compared(path)
        await compared.cascade.begin()
        await compared.go_on("alert, wait 300")
        compared.cascade.world.clock.pass_s(61)
        await story(compared)
        await compared.cascade.role.stop()

    asyncio.run(go())


def test_where_store_and_topics_agree_nothing_differs(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        assert await compared.found() == []
        await compared.go_on("key 1, other")
        compared.cascade.world.clock.pass_s(61)
        assert await compared.found() == []

    told(tmp_path, story)


def test_a_conversation_missing_in_the_store_is_put_back_and_goes_on(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        store = compared.cascade.world.store
        del store.kept[CONTACT], store.due[CONTACT], store.open[CARD]
        store.alerts.clear()
        assert await compared.found() == [Difference("missing", CONTACT, "ringing")]
        assert await compared.mended() == 1
        assert await compared.found() == []
        await compared.go_on("key 1")
        assert compared.cascade.state == "released"

    told(tmp_path, story)


def test_an_older_copy_of_the_store_is_named_and_not_touched(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        store = compared.cascade.world.store
        old = store.kept[CONTACT]._replace(version=2)
        store.kept[CONTACT] = old
        (found,) = await compared.found()
        assert (found.what, found.name) == ("behind", CONTACT)
        assert await compared.mended() == 0
        assert store.kept[CONTACT] == old

    told(tmp_path, story)


def test_a_conversation_in_no_schedule_is_looked_at_again(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        del compared.cascade.world.store.due[CONTACT]
        assert await compared.found() == [Difference("stuck", CONTACT, "ringing")]
        assert await compared.mended() == 1
        assert compared.cascade.world.store.due[CONTACT] == compared.now_ms
        assert await compared.found() == []

    told(tmp_path, story)


def test_a_notice_in_no_schedule_is_looked_at_again(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        world = compared.cascade.world
        await compared.cascade.role.polled({0: [decision("tx8", "notify", 7, card=CARD)]})
        await until_done(compared.cascade.role)
        world.clock.pass_s(61)
        notice = contact_id(CARD, "tx8")
        del world.store.due[notice]
        assert await compared.found() == [Difference("stuck", notice)]
        assert await compared.mended() == 1
        assert (world.store.due[notice], world.store.open[CARD]) == (compared.now_ms, CONTACT)
        assert await compared.found() == []

    told(tmp_path, story)


def test_a_record_that_never_left_is_named_and_published(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        world = compared.cascade.world
        world.log.down = True
        await compared.go_on("app no")
        world.clock.pass_s(66)
        found = await compared.found()
        assert {one.what for one in found} == {"unpublished"}
        world.log.down = False
        assert await compared.mended() == len(found)
        assert world.log.commands() == ["hold", "block"]
        assert await compared.found() == []

    told(tmp_path, story)


def test_what_is_on_its_way_is_no_difference(tmp_path: Path) -> None:
    async def story(compared: Compared) -> None:
        world = compared.cascade.world
        await compared.go_on("other")
        other = contact_id("tok_card_0002", "tx9")
        del world.store.kept[other], world.store.open["tok_card_0002"], world.store.due[other]
        assert await compared.found() == []
        world.clock.pass_s(61)
        assert [one.what for one in await compared.found()] == ["missing"]

    told(tmp_path, story)
