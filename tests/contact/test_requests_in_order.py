"""Several things to tell one customer: in order, one at a time, together where there are words for it, whoever is
faster."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from cascade_world import CARD, MORNING, Carrier, SlowStore, asked_about, cardholder
from contact_world import CONFIG, Read, SetClock, World, decision, own, until_done
from request_world import TEMPLATES, Requests, asked_for, holder, played, request_config

from pipeline.core.contact_history import Entry, History
from pipeline.core.contact_limits import QUESTION_OUT_MS, question_out_ms
from pipeline.core.conversation import decode
from pipeline.core.questions import after_question, read_questions
from pipeline.core.requests import contact_of
from pipeline.ports_channels import CallOrder, MessageOrder
from pipeline.roles.contact.profile import read_texts
from pipeline.roles.contact.role import ContactRole

NIGHT = "wait 43200"
MORNING_S = 36_000
CONSENTING = {"consent": {"marketing": True}}
ONE_A_DAY = """
[[cap]]
classes = ["service"]
limit = 1
days = 1
counts = ["message"]
source = "the test"
"""
WORKERS = 4


@pytest.fixture(scope="module", autouse=True)
def _texts_read_once() -> Iterator[None]:
    texts = read_texts(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
        yield


def test_what_waits_for_the_morning_is_told_by_its_class_then_by_its_age(tmp_path: Path) -> None:
    asked = [
        "request marketing m",
        "request limit l",
        "request service s",
        "request collection c",
        "request reminder r",
    ]
    script = ", wait 1, ".join([NIGHT, *asked, "wait 36000"])
    requests = played(tmp_path, ", ".join([script, *["wait 60"] * 4]), **CONSENTING)
    words = ("please call us", "due today", "credit limit", "1,234.50", "Lounges")
    assert [next(word for word in words if word in text) for text in requests.texts_sent()] == list(words)


def test_several_reminders_are_told_in_one_and_each_is_told_to_be_so(tmp_path: Path) -> None:
    requests = played(
        tmp_path, f"{NIGHT}, request reminder, also reminder r2, also reminder r3, wait {MORNING_S}, receipt delivered"
    )
    (text,) = requests.texts_sent()
    assert "you have 3 payments to remember, the first is due on 5 Mar" in text
    ends = [step["subject"]["request"] for step in requests.world.log.values("contacts") if step["step"] == "completed"]
    assert ends == ["r1", "r2", "r3"]


def test_one_of_several_is_withdrawn_or_delivered_again_by_its_own_name(tmp_path: Path) -> None:
    requests = Requests(request_config(tmp_path / "config"))

    async def story() -> None:
        await requests.begin()
        await requests.do_wait("43200")
        for name in ("r1", "r2", "r3", "r2"):
            await requests.do_also(f"reminder {name}")
        await requests.do_withdraw("reminder r2")
        await until_done(requests.role)
        await requests.do_wait(str(MORNING_S))
        await until_done(requests.role)
        await requests.do_also("reminder r3")
        await until_done(requests.role)

    asyncio.run(story())
    assert len(requests.made) == 1
    assert "you have 2 payments" in requests.texts_sent()[0]
    teller = decode(requests.world.store.kept[contact_of("cu1", "r3")].value)
    assert (teller.into, teller.state) == (contact_of("cu1", "r1"), "cancelled")
    answer = {
        "contact": contact_of("cu1", "r3"),
        "answer": "complaint",
        "channel": "agent",
        "assurance": "agent",
        "time": "t",
    }
    asyncio.run(requests.role.answers([Read(msgspec.json.encode(answer))]))
    assert decode(requests.world.store.kept[contact_of("cu1", "r1")].value).state == "escalated"


def test_four_workers_racing_for_one_customer_tell_one_thing_at_a_time(tmp_path: Path) -> None:
    """Whatever they take in and claim at once: a minute lies between any two messages, nothing is told twice."""
    made: list[tuple[float, CallOrder | MessageOrder]] = []
    clock = SetClock(MORNING)

    class Timed(Carrier):
        async def _take(self, order: CallOrder | MessageOrder):  # type: ignore[no-untyped-def]
            made.append((clock.at, order))
            return await super()._take(order)

    carrier = Timed([])
    world = World(
        SlowStore(),
        provider=carrier,
        clock=clock,
        config=request_config(tmp_path / "config"),
        messages={"sms": carrier},
    )
    wanted = [asked_for(kind, f"{kind}{number}", MORNING) for number in range(3) for kind in TEMPLATES]

    async def race() -> None:
        roles = [world.worker() for _ in range(WORKERS)]
        await roles[0].customers([cardholder(consent={"marketing": True})])
        await asyncio.gather(*(role.requests(wanted[number:] + wanted[:number]) for number, role in enumerate(roles)))
        for _ in range(20):
            await asyncio.gather(*(until_done(role) for role in roles))
            clock.pass_s(60)

    asyncio.run(race())
    assert len({order.key for _, order in made}) == len(made), "nothing is sent twice"
    assert all(after - before >= 60 for (before, _), (after, _) in pairwise(made))
    told = {matter.id for kept in world.store.kept.values() for matter in decode(kept.value).matters}
    assert told == {f"{kind}{number}" for number in range(3) for kind in TEMPLATES}
    ends = [decode(kept.value).state for kept in world.store.kept.values() if decode(kept.value).matters]
    assert set(ends) == {"completed"} or set(ends) <= {"completed", "expired", "ringing"}


def test_a_cap_is_held_to_by_four_workers(tmp_path: Path) -> None:
    made: list[CallOrder | MessageOrder] = []
    carrier = Carrier(made)
    config = request_config(tmp_path / "config", ONE_A_DAY)
    world = World(SlowStore(), provider=carrier, clock=SetClock(MORNING), config=config, messages={"sms": carrier})

    async def race() -> list[ContactRole]:
        roles = [world.worker() for _ in range(WORKERS)]
        await roles[0].customers([cardholder()])
        await asyncio.gather(
            *(role.requests([asked_for("limit", f"r{number}", MORNING)]) for number, role in enumerate(roles))
        )
        for _ in range(10):
            await asyncio.gather(*(until_done(role) for role in roles))
            world.clock.pass_s(60)
        return roles

    asyncio.run(race())
    assert len(made) == 1
    states = sorted(decode(kept.value).state for kept in world.store.kept.values())
    assert states == ["completed", "planned", "planned", "planned"], "the others wait for another day"


def test_a_flood_of_offers_leaves_room_for_questions_about_payments(tmp_path: Path) -> None:
    requests = Requests(request_config(tmp_path / "config"))
    limit = requests.role.work.free
    claimed: list[str] = []

    async def story() -> None:
        role = requests.role
        await own(role)
        names = [f"cu{number}" for number in range(2 * limit)]
        await role.customers([holder(name, cards=[], phones=[]) for name in names])
        offers = [
            asked_for("service", "r", MORNING, customer=name, not_before="2026-03-02T02:00:01Z") for name in names
        ]
        await role.requests(offers)
        await role.customers([cardholder()])
        await role.polled({0: [asked_about("tx1", CARD, MORNING, 0)]})
        await role.work.idle()
        await requests.do_reply("LATER")
        await role.work.idle()
        requests.world.clock.pass_s(3600)
        store = requests.world.store
        for kept in await store.claim(
            round(requests.world.clock.now() * 1000), 15_000, role.work.free, role.work.spare
        ):
            claimed.append(decode(kept.value).class_)

    asyncio.run(story())
    assert claimed[0] == "fraud", "first, though due last"
    assert len(claimed) == 1 + limit - limit // 4


def test_a_question_is_out_until_it_is_answered_or_left_alone_for_ten_minutes() -> None:
    def entry(at: int, kind: str, event: str = "ct_1", class_: str = "fraud") -> Entry:
        return Entry(at, class_, "sms", event, kind)  # type: ignore[arg-type]

    asked = entry(1000, "message")
    assert question_out_ms(History((asked,))) == 1000 + QUESTION_OUT_MS
    assert question_out_ms(History((asked, entry(5000, "dial")))) == 5000 + QUESTION_OUT_MS
    assert question_out_ms(History((asked, entry(5000, "effective")))) == 0
    assert (
        question_out_ms(History((entry(500, "message", "ct_2"), asked, entry(5000, "effective"))))
        == 500 + QUESTION_OUT_MS
    )
    assert question_out_ms(History((entry(1000, "message", class_="service"),))) == 0


def test_what_was_only_told_takes_no_yes_from_a_question() -> None:
    note = after_question(b"", "cu1", "ct_1:1:1", 1)
    for number in range(9):
        note = after_question(note, "cu1", f"ct_s{number}:1:1", 2, "service")
    questions = read_questions(note)
    assert questions is not None
    assert questions.asked == ("ct_1:1:1",)
    assert questions.answerable("yes")[-1] == "ct_1:1:1"
    assert questions.answerable("agent")[-1] == "ct_s8:1:1"
    assert dict(questions.stopped())["ct_s8:1:1"] == "service"


@pytest.mark.parametrize("word", ["YES", "NO"])
def test_a_reply_is_to_the_question_though_an_offer_came_after_it(tmp_path: Path, word: str) -> None:
    requests = played(tmp_path, f"alert, wait 250, request service, reply {word}")
    assert requests.world.log.commands() == ["hold", {"YES": "release", "NO": "block"}[word]]


def test_a_stop_to_an_offer_counts_after_the_offer_is_forgotten(tmp_path: Path) -> None:
    requests = played(tmp_path, "request marketing, receipt delivered", **CONSENTING)
    requests.world.store.kept.clear()
    asyncio.run(requests.do_reply("STOP"))
    assert b'"stop":["marketing"]' in requests.world.store.notes["w:cu1"]


def test_the_channel_a_customer_prefers_goes_first(tmp_path: Path) -> None:
    assert played(tmp_path / "a", "request reminder", preferred_channel="voice").attempts() == ["mobile"]
    assert played(tmp_path / "b", "request reminder", preferred_channel="email").attempts() == ["sms"]


def test_a_message_is_worth_delivering_while_it_is_worth_telling_and_a_question_while_it_waits(tmp_path: Path) -> None:
    def worth_s(script: str) -> float:
        requests = played(tmp_path / script.replace(" ", "_"), script)
        return next(order.expires_s for order in requests.made if isinstance(order, MessageOrder))

    assert worth_s("request service") == 86_400 - 15, "a day, less the lease it was written under"
    assert worth_s("brief service") == 3600 - 15
    assert worth_s("request collection") == 300
    assert worth_s("alert") == 300


def test_a_notice_decided_twice_in_one_poll_is_told_once(tmp_path: Path) -> None:
    world = Requests(request_config(tmp_path))

    async def story() -> None:
        await world.begin()
        twice = [decision("tx1", "notify", offset, card=CARD) for offset in (0, 1)]
        await world.role.polled({0: twice})
        await until_done(world.role)

    asyncio.run(story())
    assert len(world.texts_sent()) == 1


def test_a_customer_written_by_an_earlier_version_gets_an_agenda_with_the_first_request(tmp_path: Path) -> None:
    requests = Requests(request_config(tmp_path / "config"))

    async def story() -> None:
        await requests.begin()
        keys = requests.world.store.note_keys
        keys["cu1"] = [key for key in keys["cu1"] if not key.startswith("o:")]
        await requests.do_wait("43200")
        for name in ("r1", "r2"):
            await requests.do_also(f"reminder {name}")
            await until_done(requests.role)
        await requests.do_wait(str(MORNING_S))
        await until_done(requests.role)

    asyncio.run(story())
    assert ["you have 2 payments" in text for text in requests.texts_sent()] == [True]
