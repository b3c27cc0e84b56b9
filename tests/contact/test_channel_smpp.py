"""SMS over SMPP: what each answer means, receipts and replies, and a session that comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channel_world import KEY, NUMBER, free_port, order, run
from message_centre import BIND, QUERY, UNBIND, Bank, Centre, bound

from pipeline.adapters.channels.smpp import SmppChannel
from pipeline.ports_channels import CallAccepted, CallRefused, CallReport, CallUnknown

RECEIPT = 0x04
LONG = "x" * 161


def receipt(name: str, stat: str = "DELIVRD") -> bytes:
    return f"id:{name} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{stat} err:000 Text:".encode()


def told(
    work: Callable[[SmppChannel, Centre], Awaitable[Any]], centre: Centre, bank: Bank | None = None, **more: Any
) -> Any:
    async def go() -> Any:
        async with bound(centre, bank or Bank(), **more) as channel:
            return await work(channel, centre)

    return run(go())


def sent(centre: Centre, *orders: Any, **more: Any) -> list[Any]:
    async def work(channel: SmppChannel, _: Centre) -> list[Any]:
        return [await channel.send(one) for one in orders]

    found: list[Any] = told(work, centre, **more)
    return found


def test_a_message_is_taken_and_its_key_sends_it_only_once() -> None:
    centre = Centre()
    assert sent(centre, order(), order(), order(key="k2")) == [
        CallAccepted("m1"),
        CallAccepted("m1"),
        CallAccepted("m2"),
    ]
    assert len(centre.submitted()) == 2
    assert centre.requests[-1] == (UNBIND, b"")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x58, CallRefused(False, "smpp_0x58")),
        (0x14, CallRefused(False, "smpp_0x14")),
        (0x64, CallRefused(False, "smpp_0x64")),
        (0x0B, CallRefused(True, "smpp_0x0b")),
        (0x65, CallRefused(True, "smpp_0x65")),
        (0x08, CallUnknown("smpp_0x08")),
        (0xFF, CallUnknown("smpp_0xff")),
        (None, CallUnknown("no_answer")),
    ],
)
def test_what_an_answer_means(status: int | None, outcome: object) -> None:
    assert sent(Centre([status]), order()) == [outcome]


def test_without_an_answer_in_time_nobody_knows() -> None:
    assert sent(Centre(["silent"]), order(), timeout_s=0.05) == [CallUnknown("no_answer")]


@pytest.mark.parametrize(("to", "text"), [("13800138042", "x"), ("+86138\r\n", "x"), (NUMBER, "\ud800")])
def test_what_no_centre_could_send_is_refused_here(to: str, text: str) -> None:
    centre = Centre()
    (outcome,) = sent(centre, order(to=to, text=text))
    assert isinstance(outcome, CallRefused)
    assert outcome.permanent
    assert centre.submitted() == []


def test_parts_that_were_taken_are_not_sent_again() -> None:
    centre = Centre([0, 0x58])
    outcomes = sent(centre, order(text=LONG), order(text=LONG))
    assert outcomes == [CallUnknown("partly_taken"), CallAccepted("m1")]
    first, refused, again = centre.submitted()
    assert again == refused != first


def test_a_message_of_parts_is_delivered_when_each_part_is() -> None:
    bank = Bank()

    async def work(channel: SmppChannel, centre: Centre) -> None:
        await channel.send(order(text=LONG))
        assert await centre.delivered(1, receipt("m2"), RECEIPT) == 0
        await centre.delivered(2, receipt("m1"), RECEIPT)
        await centre.delivered(3, receipt("m1"), RECEIPT)

    told(work, Centre(), bank)
    assert bank.reports == [CallReport(KEY, "m1", "sent"), CallReport(KEY, "m1", "delivered")]


@pytest.mark.parametrize(
    ("stat", "status"),
    [("DELIVRD", "delivered"), ("UNDELIV", "undelivered"), ("EXPIRED", "undelivered"), ("REJECTD", "failed")],
)
def test_a_receipt_is_reported_under_the_key(stat: str, status: str) -> None:
    bank = Bank()

    async def work(channel: SmppChannel, centre: Centre) -> object:
        await channel.send(order())
        await centre.delivered(1, receipt("m1", stat), RECEIPT)
        await centre.delivered(2, receipt("m1", "ENROUTE"), RECEIPT)  # late news
        return await channel.find(KEY)

    assert told(work, Centre(), bank) == CallReport(KEY, "m1", status)
    assert bank.reports == [CallReport(KEY, "m1", status)]


def test_a_receipt_for_another_process_is_reported_by_its_name() -> None:
    bank = Bank()
    told(lambda _, centre: centre.delivered(1, receipt("other-7"), RECEIPT), Centre(), bank)
    assert bank.reports == [CallReport("", "other-7", "delivered")]


@pytest.mark.parametrize("text", [b"YES", receipt("m1")])
def test_what_is_not_stored_is_to_come_again_and_then_counts(text: bytes) -> None:
    bank = Bank(down=1)
    esm_class = RECEIPT if text != b"YES" else 0

    async def work(channel: SmppChannel, centre: Centre) -> list[int]:
        await channel.send(order())
        return [await centre.delivered(number, text, esm_class) for number in (1, 2)]

    assert told(work, Centre(), bank) == [0x64, 0]
    assert len(bank.reports) + len(bank.replies) == 1


@pytest.mark.parametrize(
    ("octets", "esm_class", "coding", "text"),
    [
        (b"YES", 0, 0, "YES"),
        ("是1".encode("utf-16-be"), 0, 8, "是1"),
        (b"\x05\x00\x03\x07\x01\x01NO \x1b\x65", 0x40, 0, "NO €"),
    ],
)
def test_a_reply_comes_with_its_number(octets: bytes, esm_class: int, coding: int, text: str) -> None:
    bank = Bank()
    assert told(lambda _, centre: centre.delivered(9, octets, esm_class, coding), Centre(), bank) == 0
    ((*reply, name),) = bank.replies
    assert reply == ["sms", NUMBER, text]
    assert len(name) > 16


def test_a_receipt_nobody_can_read_is_not_asked_for_again() -> None:
    bank = Bank()
    assert told(lambda _, centre: centre.delivered(1, b"hello", RECEIPT), Centre(), bank) == 0
    assert bank == Bank()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ((0, 2), CallReport(KEY, "m1", "delivered")),
        ((0, 1), CallReport(KEY, "m1", "sent")),
        ((0, 5), CallReport(KEY, "m1", "undelivered")),
        ((0x67, 0), CallUnknown("smpp_0x67")),
    ],
)
def test_the_centre_is_asked_what_became_of_a_message(query: tuple[int, int], found: object) -> None:
    async def work(channel: SmppChannel, _: Centre) -> object:
        await channel.send(order())
        return await channel.find(KEY)

    centre = Centre(query=query)
    assert told(work, centre) == found
    assert [body for command, body in centre.requests if command == QUERY] == [b"m1\0\x03\x0195588\0"]


def test_of_a_key_not_sent_from_here_nothing_is_known() -> None:
    assert told(lambda channel, _: channel.find("another"), Centre()) == CallUnknown("not_known_here")


def test_the_session_comes_back_after_a_loss_and_after_refusals() -> None:
    async def work(channel: SmppChannel, centre: Centre) -> list[object]:
        centre.binds = [0x0D, 0x05]
        outcomes: list[object] = [await channel.send(order())]
        while channel.bound.is_set():
            await asyncio.sleep(0)
        outcomes.append(await channel.send(order()))
        await channel.bound.wait()
        return [*outcomes, await channel.send(order())]

    centre = Centre([None])
    assert told(work, centre) == [CallUnknown("no_answer"), CallRefused(False, "not_bound"), CallAccepted("m1")]
    assert [command for command, _ in centre.requests].count(BIND) == 4


def test_two_equal_replies_bear_different_names() -> None:
    bank = Bank()

    async def work(_: SmppChannel, centre: Centre) -> None:
        await centre.delivered(1, b"1")
        await centre.delivered(2, b"1")

    told(work, Centre(), bank)
    told(work, Centre(), bank)
    assert len({reply[3] for reply in bank.replies}) == 4


def test_a_centre_that_was_never_there_takes_nothing_and_knows_nothing() -> None:
    async def go() -> object:
        bank = Bank()
        channel = SmppChannel("127.0.0.1", free_port(), "bank", "s", "95588", bank.reported, bank.replied)
        await channel.start()
        outcome = await channel.send(order())
        await channel.stop()
        return outcome

    assert run(go()) == CallRefused(False, "not_bound")


def test_a_link_that_answers_no_enquiry_is_left() -> None:
    async def work(channel: SmppChannel, centre: Centre) -> bool:
        writer = centre.writer
        centre.send = lambda *_: None
        while channel.bound.is_set():
            await asyncio.sleep(0.005)
        return writer is not None

    assert told(work, Centre(), enquire_s=0.01, timeout_s=0.03)


def test_no_more_than_a_window_of_messages_waits_for_answers() -> None:
    async def work(channel: SmppChannel, centre: Centre) -> int:
        sending = [asyncio.create_task(channel.send(order(key=f"k{number}"))) for number in range(3)]
        while len(centre.submitted()) < 2:
            await asyncio.sleep(0)
        await centre.delivered(1, b"YES")  # there and back: a third message would have come before the answer
        seen = len(centre.submitted())
        for one in sending:
            one.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        return seen

    assert told(work, Centre(["silent"] * 3), window=2) == 2


def test_a_place_in_the_window_that_does_not_come_free_in_time_is_a_refusal() -> None:
    async def work(channel: SmppChannel, _: Centre) -> object:
        return await channel.send(order())

    assert told(work, Centre(), window=0, timeout_s=0.1) == CallRefused(False, "window_full")


def test_messages_beyond_the_rate_wait_and_those_with_too_long_to_wait_are_refused() -> None:
    centre = Centre()
    outcomes = sent(centre, *[order(key=f"k{number}") for number in range(3)], rate_s=0.01)
    assert outcomes == [CallAccepted("m1"), CallRefused(False, "rate_limited"), CallRefused(False, "rate_limited")]


def test_a_text_of_several_messages_counts_as_so_many_and_is_refused_whole() -> None:
    centre = Centre()
    outcomes = sent(centre, order(text=LONG), order(key="k2"), rate_s=0.01)
    assert outcomes == [CallRefused(False, "rate_limited"), CallAccepted("m1")]
    assert len(centre.submitted()) == 1


def test_each_part_of_a_text_waits_for_its_turn() -> None:
    centre = Centre()
    waited: list[tuple[int, float]] = []

    async def sleep(seconds: float) -> None:
        waited.append((len(centre.submitted()), seconds))

    assert sent(centre, order(text=LONG), rate_s=1.0, sleep=sleep) == [CallAccepted("m1")]
    ((before, seconds),) = waited
    assert before == 1
    assert 0 < seconds <= 1.0
