"""The store is lost while something is being told, and made again from the topics: each is told once, none is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from cascade_world import CARD, cardholder
from contact_world import CONFIG, until_done
from rebuild_world import LosingRequests, but_for_what_is_lost
from request_world import asked_for, request_config
from test_rebuild_stories import remembered
from test_request_stories import CONSENTING, NOTHING, STORIES, Row

from pipeline.adapters.almanac import world_almanac
from pipeline.core.conversation import Conversation, decode
from pipeline.roles.contact.profile import read_profile, read_texts
from pipeline.roles.contact.rebuild import told
from pipeline.roles.contact.rebuild_requests import not_begun
from pipeline.roles.contact.rebuild_writer import Writer


@pytest.fixture(scope="module", autouse=True)
def _texts_read_once() -> Iterator[None]:
    texts = read_texts(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request_config(tmp_path_factory.mktemp("told") / "config")


async def go_on(requests: LosingRequests, verbs: list[str]) -> None:
    for line in verbs:
        verb, _, word = line.partition(" ")
        await getattr(requests, f"do_{verb}")(word)
        await until_done(requests.role)


def stored(requests: LosingRequests) -> dict[str, Conversation]:
    return {name: decode(kept.value) for name, kept in requests.world.store.kept.items()}


@pytest.mark.parametrize("row", STORIES, ids=lambda row: row.en)
def test_a_story_whose_store_is_lost_at_any_point_ends_as_the_table_says(row: Row, config: Path) -> None:
    verbs = row.script.split(", ")

    async def cut_at(cut: int) -> None:
        requests = LosingRequests(config, **({} if "without consent" in row.en else CONSENTING))
        await requests.begin()
        await go_on(requests, verbs[:cut])
        before, notes = stored(requests), remembered(requests)
        due, open_now = dict(requests.world.store.due), dict(requests.world.store.open)
        orders = len(requests.made)
        erased = "customer erased" in verbs[:cut]

        found, written = await requests.lose()
        assert (found.unclear, found.nameless, found.requests, found.lost) == (0, 0, 0, 0)
        assert (written.present, written.moved) == (0, 0)
        after = stored(requests)
        assert after.keys() == before.keys()
        for name, conversation in after.items():
            assert but_for_what_is_lost(conversation) == but_for_what_is_lost(before[name])
        if not any(each.asks for each in (*before.values(), *after.values())):
            assert (requests.world.store.due, requests.world.store.open) == (due, open_now)
        if not erased:
            assert remembered(requests) == notes
        assert len(requests.made) == orders, "nobody is told because of the loss"
        assert not requests.world.store.outbox

        await go_on(requests, verbs[cut:])
        assert f"{requests.state_before} → {requests.state}" == row.states
        assert (", ".join(requests.attempts()) or NOTHING) == row.told
        steps = requests.told()[requests.steps_before if requests.contact == requests.marked else 0 :]
        assert (", ".join(steps) or NOTHING) == row.steps

    for cut in range(1, len(verbs)):
        asyncio.run(cut_at(cut))


def asked(requests: LosingRequests, kind: str, name: str, **more: object) -> None:
    """A request that is on its topic, and that no worker has come to."""
    record = asked_for(kind, name, requests.world.clock.now(), **more)
    requests.given.setdefault("contact-requests", []).append(record)


def reminders(requests: LosingRequests) -> list[tuple[str, str, str | None]]:
    return [
        (step["subject"].get("request"), step["step"], step.get("reason"))
        for step in requests.world.log.values("contacts")
    ]


Story = Callable[[LosingRequests], Awaitable[None]]


def play(config: Path, story: Story) -> None:
    async def go() -> None:
        requests = LosingRequests(config)
        await requests.begin()
        await story(requests)

    asyncio.run(go())


def test_a_request_that_nobody_took_is_told_once_and_one_that_is_useless_by_now_is_not(config: Path) -> None:
    async def story(requests: LosingRequests) -> None:
        await go_on(requests, ["request service r0", "receipt delivered"])
        asked(requests, "reminder", "r1")
        asked(requests, "service", "old", expires_at="2026-03-02T02:00:30Z")
        requests.world.clock.pass_s(60)
        found, _ = await requests.lose()
        assert (found.requests, found.requests_doubtful, found.lost) == (1, 0, 0)
        requests.world.clock.pass_s(60)
        await until_done(requests.role)
        await requests.role.requests([record for record in requests.given["contact-requests"] if b"r1" in record.value])  # type: ignore[operator]
        await until_done(requests.role)
        assert [step for step in reminders(requests) if step[0] != "r0"] == [
            ("r1", "planned", None),
            ("r1", "sending", None),
            ("r1", "accepted", None),
        ]
        assert len(requests.made) == 2
        again, _ = await requests.lose()
        assert again.requests == 0

    play(config, story)


def test_words_and_withdrawals_that_nobody_took_count(config: Path) -> None:
    async def story(requests: LosingRequests) -> None:
        await go_on(requests, ["wait 43200", "request reminder r1", "request reminder r2", "wait 60"])
        asked(requests, "reminder", "r1", variables={"card": CARD, "due": "2026-03-09", "currency": "CNY"})
        asked(requests, "reminder", "r2", expires_at="2026-03-01T00:00:00Z")
        await requests.lose()
        assert not requests.made
        await go_on(requests, ["wait 36000"])
        (text,) = requests.texts_sent()
        assert "March 9" in text or "9" in text
        assert ("r2", "cancelled", "withdrawn") in reminders(requests)

    play(config, story)


def test_what_is_to_be_told_and_stands_on_no_topic_any_more_is_cancelled_by_name(config: Path) -> None:
    async def story(requests: LosingRequests) -> None:
        await go_on(requests, ["wait 43200", "request reminder r1", "also reminder r2"])
        kept = requests.given["contact-requests"]
        requests.given["contact-requests"] = [record for record in kept if b'"r1"' not in (record.value or b"")]
        found, _ = await requests.lose()
        assert found.lost == 1
        await go_on(requests, ["wait 36000"])
        assert ("r1", "cancelled", "lost") in reminders(requests)
        assert len(requests.texts_sent()) == 1, "what joined it is told all the same"
        requests.given["contact-requests"] = []
        again, _ = await requests.lose()
        assert (again.lost, again.nameless) == (1, 0)
        assert not [name for name, each in stored(requests).items() if each.state == "planned"]

    play(config, story)


def test_a_request_whose_records_may_have_been_deleted_is_left_alone_unless_it_could_not_be_told_before(
    config: Path,
) -> None:
    async def story(requests: LosingRequests) -> None:
        asked(requests, "reminder", "r1", expires_at="2026-04-02T00:00:00Z")
        asked(requests, "reminder", "r2", not_before="2026-03-20T02:00:00Z")
        requests.world.clock.pass_s(3 * 86_400)
        await go_on(requests, ["request service r3"])
        ledger = await requests.ledger()
        ledger.cut_off = {0}
        plans = read_profile(requests.config, "demo", world_almanac()).plans
        found = not_begun(ledger, told(ledger, plans), plans, round(requests.world.clock.now() * 1000))
        assert ([one.wish.matter.id for one in found.sure], found.doubtful) == (["r2"], 1)

    play(config, story)


def test_what_was_planned_for_a_day_in_two_months_is_told_then(config: Path) -> None:
    async def story(requests: LosingRequests) -> None:
        await requests.role.requests(
            [asked_for("reminder", "r1", requests.world.clock.now(), not_before="2026-05-02T02:00:00Z")]
        )
        await go_on(requests, ["wait 3456000"])  # 40 days
        found, _ = await requests.lose()
        assert (found.requests, found.requests_doubtful) == (0, 0)
        (one,) = stored(requests).values()
        assert (one.state, one.due_ms) == ("planned", 1_777_687_200_000)
        await go_on(requests, ["wait 1814400"])
        assert len(requests.made) == 1

    play(config, story)


def test_the_channel_a_customer_preferred_when_asked_for_stays_the_first(config: Path) -> None:
    async def story(requests: LosingRequests) -> None:
        await requests.role.customers([cardholder(preferred_channel="voice")])
        await go_on(requests, ["request reminder"])
        await requests.role.customers([cardholder()])
        before = requests.conversation()
        await requests.lose()
        assert before is not None
        assert (before.prefers, before.attempts[0].channel) == ("voice", "voice")
        assert but_for_what_is_lost(requests.conversation()) == but_for_what_is_lost(before)

    play(config, story)


def test_how_often_a_customer_was_told_of_something_counts_after_the_loss(tmp_path: Path) -> None:
    """The cap of one text a day stands."""
    capped = '\n[[cap]]\nclasses = ["service"]\nlimit = 1\ndays = 1\ncounts = ["message"]\nsource = "the test"\n'

    async def story(requests: LosingRequests) -> None:
        await go_on(requests, ["request service r1", "receipt delivered"])
        await requests.lose()
        await go_on(requests, ["wait 3600", "request service r2"])
        assert len(requests.made) == 1
        assert reminders(requests)[-1] == ("r2", "deferred", "day_cap")

    play(request_config(tmp_path / "config", capped), story)


def test_a_store_that_has_only_something_to_tell_is_not_empty(config: Path) -> None:
    async def story(requests: LosingRequests) -> None:
        requests.world.store.positions.clear()
        writer = Writer(requests.world.store, 0)
        assert await writer.is_empty([0])
        await go_on(requests, ["tomorrow reminder"])
        assert not await writer.is_empty([0])

    play(config, story)
