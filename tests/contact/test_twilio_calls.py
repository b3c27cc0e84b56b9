"""Calls by Twilio's API: what is asked of it, what its answers prove, what can be found when an answer was lost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from contact_world import SetClock
from twilio_mock import ACCOUNT, BANK, PUBLIC, TOKEN, TwilioMock

from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_voice import TwilioVoice
from pipeline.core.twilio import CallbackUrls
from pipeline.ports_channels import CallAbsent, CallAccepted, CallOrder, CallRefused, CallReport, CallUnknown

TO = "+8613800138042"
KEY = "ct_0a1b2c:1:1"
URLS = CallbackUrls(PUBLIC)


def order(key: str = KEY, say: str = "Press 1 or 2", ring_s: float = 25.2) -> CallOrder:
    return CallOrder(key, TO, "en", say, "Call us", "Thanks", "Blocked", ["tx1"], ring_s)


class World:
    """A mock and one process that calls through it."""

    def __init__(self, mock: TwilioMock, client: TwilioClient, clock: SetClock) -> None:
        self.mock = mock
        self.client = client
        self.clock = clock
        self.voice = self.process()

    def process(self, **more: object) -> TwilioVoice:
        return TwilioVoice(self.client, URLS, BANK, self.clock, **more)  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        self.mock.now += seconds


def run(story: Callable[[World], Awaitable[None]], timeout_s: float = 5.0, behind_s: float = 0.0) -> TwilioMock:
    """Play ``story``; nothing in it may violate the published interface. ``behind_s``: our clock behind Twilio's."""

    async def go() -> TwilioMock:
        async with TwilioMock().running() as mock:
            clock = SetClock(mock.now - behind_s)
            async with TwilioClient(ACCOUNT, TOKEN, clock, mock.url, timeout_s=timeout_s) as client:
                await story(World(mock, client, clock))
            return mock

    mock = asyncio.run(go())
    assert mock.violations == []
    return mock


def test_a_call_is_ordered_as_the_published_interface_has_it() -> None:
    async def story(world: World) -> None:
        placed = await world.voice.place(order())
        assert placed == CallAccepted(next(iter(world.mock.made)))

    (_, form), *more = run(story).requests
    assert not more
    ours = f"{PUBLIC}/callbacks/twilio/"
    assert form == [
        ("To", TO),
        ("From", BANK),
        ("Timeout", "26"),
        ("StatusCallback", f"{ours}status?key={KEY}#rc=3&rp=all"),
        ("StatusCallbackMethod", "POST"),
        *(("StatusCallbackEvent", event) for event in ("initiated", "ringing", "answered", "completed")),
        ("Url", f"{ours}voice?key={KEY}#rc=3&rp=all"),
        ("Method", "POST"),
        ("MachineDetection", "DetectMessageEnd"),
    ]


@pytest.mark.parametrize("knows", ["the one that ordered", "another"])
def test_a_call_nobody_needs_any_more_is_ended(knows: str) -> None:
    async def story(world: World) -> None:
        placed = await world.voice.place(order())
        assert isinstance(placed, CallAccepted)
        if knows == "another":
            await world.process().cancel(KEY, placed.call)
        else:
            await world.voice.cancel(KEY, None)
        assert world.mock.made[placed.call]["status"] == "completed"

    assert run(story).requests[-1] == ("UpdateCall", [("Status", "completed")])


def test_a_call_whose_name_nobody_knows_is_left_to_ring() -> None:
    async def story(world: World) -> None:
        await world.voice.cancel(KEY, None)

    assert run(story).requests == []


def test_the_words_travel_with_the_order_only_without_machine_detection() -> None:
    async def story(world: World) -> None:
        assert isinstance(await world.process(detection=None).place(order()), CallAccepted)
        long = await world.process(detection=None).place(order("ct_2:1:1", say="x" * 4_000))
        assert long == CallRefused(permanent=True, reason="text_too_long")

    ((_, form),) = run(story).requests
    named = dict(form)
    assert "Press 1 or 2" in named["Twiml"]
    assert not {"Url", "MachineDetection"} & named.keys()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("400", CallRefused(permanent=True, reason="twilio_21211")),
        ("401", CallRefused(permanent=False, reason="twilio_20003")),
        ("429", CallRefused(permanent=False, reason="twilio_20429")),
        ("500", CallUnknown("http_500")),
    ],
)
def test_only_what_is_certain_is_said_to_be_certain(fault: str, outcome: CallRefused | CallUnknown) -> None:
    async def story(world: World) -> None:
        world.mock.fault = fault
        assert await world.voice.place(order()) == outcome

    run(story)


@pytest.mark.parametrize(("fault", "timeout_s"), [("cut", 5.0), ("lost", 5.0), ("silent", 0.05)])
def test_a_request_without_an_answer_leaves_it_unknown(fault: str, timeout_s: float) -> None:
    async def story(world: World) -> None:
        world.mock.fault = fault
        assert isinstance(await world.voice.place(order()), CallUnknown)

    run(story, timeout_s)


def test_a_connection_never_made_is_a_refusal() -> None:
    async def go() -> None:
        clock = SetClock(0.0)
        async with TwilioClient(ACCOUNT, TOKEN, clock, "http://127.0.0.1:1") as client:
            voice = TwilioVoice(client, URLS, BANK, clock)
            assert await voice.place(order()) == CallRefused(permanent=False, reason="not_reached")
            assert await voice.find(KEY) == CallUnknown("not_ordered_here")

    asyncio.run(go())


@pytest.mark.parametrize(("retry_after", "rest_s"), [("7", 7), ("", 1), ("0", 1), ("99999", 300), ("²", 1)])
def test_after_a_429_nothing_is_sent_for_as_long_as_it_says(retry_after: str, rest_s: float) -> None:
    async def story(world: World) -> None:
        world.mock.fault, world.mock.retry_after = "429", retry_after
        await world.voice.place(order())
        world.mock.fault = None
        world.pass_time(rest_s - 0.1)
        assert await world.voice.place(order()) == CallRefused(permanent=False, reason="rate_limited")
        assert world.mock.count("CreateCall") == 1
        world.pass_time(0.2)
        assert isinstance(await world.voice.place(order()), CallAccepted)

    run(story)


def test_a_call_ordered_twice_is_made_once() -> None:
    async def story(world: World) -> None:
        first = await world.voice.place(order())
        assert await world.voice.place(order()) == first
        assert len(world.mock.requests) == 1
        world.mock.fault = "cut"
        assert isinstance(await world.voice.place(order("ct_2:1:1")), CallUnknown)
        world.mock.fault = None
        again = await world.voice.place(order("ct_2:1:1"))
        assert isinstance(again, CallAccepted)
        assert again != first

    assert run(story).count("CreateCall") == 2


@pytest.mark.parametrize("behind_s", [0.0, 3_600.0, -3_600.0])
def test_a_call_whose_answer_was_lost_is_found(behind_s: float) -> None:
    async def story(world: World) -> None:
        world.mock.make("Call", {"To": TO, "From": BANK}, ago_s=60)
        world.mock.make("Call", {"To": TO, "From": BANK}, direction="outbound-dial")
        world.mock.make("Call", {"To": "+8613800138043", "From": BANK})
        world.mock.fault = "cut"
        await world.voice.place(order())
        (ours,) = world.mock.orders
        assert await world.voice.find(KEY) == CallReport(KEY, ours, "queued")
        world.mock.made[ours]["status"] = "busy"
        assert await world.voice.find(KEY) == CallReport(KEY, ours, "busy")

    mock = run(story, timeout_s=0.1, behind_s=behind_s)
    assert (mock.count("ListCall"), mock.count("FetchCall")) == (1, 1)


def test_a_call_is_absent_only_when_its_request_cannot_be_on_its_way_any_more() -> None:
    async def story(world: World) -> None:
        world.mock.make("Call", {"To": TO, "From": BANK}, ago_s=60)
        world.mock.fault = "lost"
        await world.voice.place(order())
        assert await world.voice.find(KEY) == CallUnknown("too_early")
        world.pass_time(9.9)
        assert await world.voice.find(KEY) == CallUnknown("too_early")
        world.pass_time(0.2)
        assert await world.voice.find(KEY) == CallAbsent()
        world.mock.fault = None
        assert isinstance(await world.voice.place(order()), CallAccepted)

    assert run(story).count("CreateCall") == 2


def test_another_keys_call_is_not_taken_for_ours() -> None:
    async def story(world: World) -> None:
        first = await world.voice.place(order())
        world.mock.fault = "lost"
        await world.voice.place(order("ct_0a1b2c:1:2"))
        world.pass_time(11)
        assert await world.voice.find("ct_0a1b2c:1:2") == CallAbsent()
        assert isinstance(first, CallAccepted)

    run(story)


def test_two_calls_that_could_be_ours_are_not_guessed_at() -> None:
    async def story(world: World) -> None:
        world.mock.fault = "cut"
        await world.voice.place(order())
        world.mock.make("Call", {"To": TO, "From": BANK})
        world.pass_time(60)
        assert await world.voice.find(KEY) == CallUnknown("ambiguous")

    run(story)


def test_a_list_that_goes_on_proves_nothing_absent() -> None:
    async def story(world: World) -> None:
        world.mock.fault, world.mock.more_pages = "lost", True
        await world.voice.place(order())
        world.pass_time(60)
        assert await world.voice.find(KEY) == CallUnknown("ambiguous")

    run(story)


def test_another_process_does_not_know_what_it_did_not_order() -> None:
    async def story(world: World) -> None:
        await world.voice.place(order())
        assert await world.process().find(KEY) == CallUnknown("not_ordered_here")

    run(story)


@pytest.mark.parametrize(
    ("status", "answered_by", "word"),
    [
        ("queued", None, "queued"),
        ("ringing", None, "ringing"),
        ("in-progress", "human", "answered"),
        ("completed", "human", "hung_up"),
        ("completed", "unknown", "hung_up"),
        ("completed", None, "hung_up"),
        ("completed", "machine_end_beep", "voicemail"),
        ("completed", "fax", "voicemail"),
        ("busy", None, "busy"),
        ("no-answer", None, "no_answer"),
        ("failed", None, "failed"),
        ("canceled", None, "failed"),
    ],
)
def test_statuses_in_our_words(status: str, answered_by: str | None, word: str) -> None:
    async def story(world: World) -> None:
        placed = await world.voice.place(order())
        assert isinstance(placed, CallAccepted)
        world.mock.made[placed.call] |= {"status": status, "answered_by": answered_by}
        assert await world.voice.find(KEY) == CallReport(KEY, placed.call, word)

    run(story)


def test_an_account_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="sid"):
        TwilioClient("AC../../x", TOKEN, SetClock(0.0))


@pytest.mark.parametrize(
    "more",
    [("Idempotency-Key", "x"), ("Timeout", "soon"), ("To", BANK), ("Url", "/relative"), ("MachineDetection", "Maybe")],
)
def test_the_mock_notices_what_the_published_interface_does_not_have(more: tuple[str, str]) -> None:
    async def go() -> TwilioMock:
        async with TwilioMock().running() as mock:
            async with TwilioClient(ACCOUNT, TOKEN, SetClock(mock.now), mock.url) as client:
                await client.create("Calls", [("To", TO), ("From", BANK), more])
            return mock

    assert len(asyncio.run(go()).violations) == 1
