"""A case that a simulated year found: who broke a promise while stages passed was moved to tomorrow, day after day."""

import asyncio

from reminder_world import DUE_DAY, PLAN, World, numbered, own, plan, statement, step, until_done

SPREAD = '\n[spread]\nstart = "09:00"\nend = "20:00"\n'


def test_stages_that_are_only_to_be_put_on_record_find_no_room_and_need_none() -> None:
    """The stage before the due date passes while a promise is waited for; when the next day is planned it can no longer be
    told, and the one that can is told that day."""

    async def story() -> None:
        world = World(plan=plan(PLAN + SPREAD))
        role = world.worker()
        await own(role)
        await role.polled({0: numbered([statement()])})
        await role.contacts([step("answered", "2026-03-16T03:00:00Z", answer="promise", by="2026-03-18")])
        for moment in (
            "2026-03-19T16:00:00Z",
            "2026-03-20T01:00:00Z",
            DUE_DAY,
        ):  # the 20th begins, opens, has its stage
            world.clock.set(moment)
            await role.plan_day()
            await until_done(role)
        assert world.log.told()[-1] in ("st1/due", "st1/broken_20260318")

    asyncio.run(story())
