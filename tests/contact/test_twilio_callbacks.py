"""Twilio's call-backs: what a call hears, what is reported, and who is turned away."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest
from aiohttp import web
from contact_world import SetClock
from twilio_mock import ACCOUNT, BANK, PUBLIC, TOKEN, TwilioCaller, TwilioMock, sign, steps

from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_voice import TwilioVoice
from pipeline.adapters.http.twilio_callbacks import Account, TwilioCallbacks
from pipeline.core.twilio import CallbackUrls
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallAccepted, CallOrder, CallReport

KEY = "ct_0a1b2c:1:1"
CALL = "CA" + "7" * 32
CENTRE = "+15005550009"
URLS = CallbackUrls(PUBLIC)
ORDER = CallOrder(KEY, "+8613800138042", "en", "Was it you?", "Call us", "Thanks", "Blocked", ["tx1"], 30)
VOICE, GATHER, STATUS, SMS, SMS_STATUS = (
    f"/callbacks/twilio/{name}" for name in ("voice", "gather", "status", "sms", "sms-status")
)
ABOUT = {"CallSid": CALL, "CallStatus": "completed", "Digits": "1"}


class Bank:
    """Who takes reports and replies and knows the words. ``down``: which of the three stores is away."""

    def __init__(self, down: str = "") -> None:
        self.reports: list[CallReport] = []
        self.replies: list[tuple[str, str, str, str]] = []
        self.down = down

    async def reported(self, report: CallReport) -> str:
        if "reports" in self.down:
            raise StoreDown("away")
        self.reports.append(report)
        return "taken"

    async def replied(self, channel: str, from_number: str, text: str, provider_id: str) -> str:
        if "replies" in self.down:
            raise StoreDown("away")
        self.replies.append((channel, from_number, text, provider_id))
        return "taken"

    async def script(self, key: str) -> CallOrder | None:
        if "scripts" in self.down:
            raise StoreDown("away")
        return ORDER if key == KEY else None


Story = Callable[[TwilioCaller, Bank], Awaitable[None]]


def run(story: Story, bank: Bank | None = None, transfer: str | None = None) -> Bank:
    async def go() -> Bank:
        taken = bank or Bank()
        app = web.Application()
        account = Account(ACCOUNT, TOKEN, URLS, transfer)
        app.add_routes(TwilioCallbacks(account, taken, taken, taken).routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            await story(TwilioCaller(runner.addresses[0][1]), taken)
        finally:
            await runner.cleanup()
        return taken

    return asyncio.run(go())


# --- calls


@pytest.mark.parametrize(
    ("press", "transfer", "heard", "last"),
    [
        ("1", None, ["Say:Thanks", "Hangup"], ("completed", "1")),
        ("1", CENTRE, ["Say:Thanks", "Hangup"], ("completed", "1")),
        ("2", None, ["Say:Blocked", "Hangup"], ("completed", "2")),
        ("2", CENTRE, ["Say:Blocked", f"Dial:{CENTRE}", "Hangup"], ("completed", "2")),
        ("0", None, ["Say:Call us", "Hangup"], ("completed", "0")),
        ("0", CENTRE, [f"Dial:{CENTRE}", "Hangup"], ("completed", "0")),
        ("7", CENTRE, ["Say:Call us", "Hangup"], ("completed", "7")),
        ("#", CENTRE, ["Say:Call us", "Hangup"], ("completed", "#")),
        (None, CENTRE, [], None),
    ],
)
def test_a_call_from_order_to_end(
    press: str | None, transfer: str | None, heard: list[str], last: tuple[str, str] | None
) -> None:
    """Placed on the mock, which carries it through by the addresses it was given."""
    told: list[str] = []

    async def story(caller: TwilioCaller, bank: Bank) -> None:
        async with TwilioMock().running() as mock:
            clock = SetClock(mock.now)
            async with TwilioClient(ACCOUNT, TOKEN, clock, mock.url) as client:
                placed = await TwilioVoice(client, URLS, BANK, clock).place(ORDER)
            assert isinstance(placed, CallAccepted)
            assert mock.violations == []
            told.extend(await caller.ring(mock, placed.call, "human", press))

    reports = run(story, transfer=transfer).reports
    assert told == ["Gather", "Say:Was it you?", "Hangup", *heard]
    expected = [("queued", None), ("ringing", None), ("answered", None), *([last] if last else []), ("hung_up", None)]
    assert [(report.status, report.digits) for report in reports] == expected
    assert {report.key for report in reports} == {KEY}
    assert len({report.call for report in reports}) == 1


def test_a_reminder_s_second_key_is_no_no_and_connects_nobody() -> None:
    class Reminding(Bank):
        async def script(self, key: str) -> CallOrder | None:
            return ORDER._replace(thanks_yes="", thanks_no="")

    async def story(caller: TwilioCaller, bank: Bank) -> None:
        status, words = await caller.post(URLS.of(GATHER, KEY), ABOUT | {"Digits": "2"})
        assert (status, steps(words)) == (200, ["Hangup"])
        status, words = await caller.post(URLS.of(GATHER, KEY), ABOUT | {"Digits": "0"})
        assert (status, steps(words)) == (200, [f"Dial:{CENTRE}", "Hangup"])

    run(story, Reminding(), transfer=CENTRE)


def test_a_call_that_carries_its_words_needs_nobody_who_knows_them() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        async with TwilioMock().running() as mock:
            clock = SetClock(mock.now)
            async with TwilioClient(ACCOUNT, TOKEN, clock, mock.url) as client:
                placed = await TwilioVoice(client, URLS, BANK, clock, detection=None).place(ORDER)
            assert isinstance(placed, CallAccepted)
            heard = await caller.ring(mock, placed.call, "unknown", "1")
            assert heard == ["Gather", "Say:Was it you?", "Hangup", "Hangup"]

    assert CallReport(KEY, "CA" + f"{1:032x}", "completed", "1") in run(story, Bank("scripts")).reports


@pytest.mark.parametrize("answered_by", ["machine_start", "machine_end_beep", "machine_end_silence", "fax"])
def test_a_machine_hears_nothing_private(answered_by: str) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        status, words = await caller.post(URLS.of(VOICE, KEY), ABOUT | {"AnsweredBy": answered_by})
        assert (status, steps(words)) == (200, ["Say:Call us", "Hangup"])

    assert run(story).reports == [CallReport(KEY, CALL, "voicemail")]


@pytest.mark.parametrize("answered_by", ["human", "unknown"])
def test_who_may_be_a_person_is_asked(answered_by: str) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        status, words = await caller.post(URLS.of(VOICE, KEY), ABOUT | {"AnsweredBy": answered_by})
        assert (status, steps(words)[:2]) == (200, ["Gather", "Say:Was it you?"])

    assert run(story).reports == []


def test_a_call_nobody_knows_is_ended_and_its_reports_are_passed_on() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        for path in (VOICE, GATHER):
            status, words = await caller.post(URLS.of(path, "ct_9:1:1"), ABOUT)
            assert (status, steps(words)) == (200, ["Hangup"])

    assert run(story).reports == [CallReport("ct_9:1:1", CALL, "completed", "1")]


def test_a_call_in_which_no_key_was_pressed_is_ended() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        status, words = await caller.post(URLS.of(GATHER, KEY), ABOUT | {"Digits": ""})
        assert (status, steps(words)) == (200, ["Hangup"])

    assert run(story).reports == []


# --- messages


def test_a_reply_is_handed_on_with_its_sender_and_its_own_name() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        form = {"MessageSid": "SM1", "From": "+8613800138042", "To": BANK, "Body": " 是的 & yes+1=2"}
        for _ in range(2):
            assert await caller.post(URLS.of(SMS), form) == (
                200,
                '<?xml version="1.0" encoding="UTF-8"?><Response />',
            )

    assert run(story).replies == [("sms", "+8613800138042", " 是的 & yes+1=2", "SM1")] * 2


def test_what_became_of_a_message_is_reported() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        for word in ("sent", "delivered", "a new word"):
            form = {"MessageSid": "SM1", "MessageStatus": word}
            assert (await caller.post(URLS.of(SMS_STATUS, "ct_1:2:1"), form))[0] == 200

    assert run(story).reports == [CallReport("ct_1:2:1", "SM1", word) for word in ("sent", "delivered")]


# --- attacks


def refused(address: str, form: dict[str, str], signed_as: str | None = None) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        status, answer = await caller.post(address, form, signed_as)
        assert status == 401, answer

    bank = run(story)
    assert (bank.reports, bank.replies) == ([], [])


PAIRS = [("AccountSid", ACCOUNT), *ABOUT.items()]


def plain(path: str, key: str = KEY) -> str:
    return f"{PUBLIC}{path}?key={key}"


@pytest.mark.parametrize("path", [VOICE, GATHER, STATUS, SMS, SMS_STATUS])
@pytest.mark.parametrize(
    "signed_as",
    [
        "",
        "AAAA",
        sign(plain(GATHER), PAIRS, "another-token"),
        sign(plain(GATHER, "ct_0a1b2c:1:2"), PAIRS),
        sign("https://evil.example" + GATHER, PAIRS),
        sign(plain(GATHER), [*PAIRS[:-1], ("Digits", "2")]),
        sign(plain(GATHER), ()),
    ],
    ids=["none", "noise", "token", "key", "host", "digits", "form"],
)
def test_what_does_not_prove_its_origin_is_refused(path: str, signed_as: str) -> None:
    refused(URLS.of(path, KEY), ABOUT, signed_as)


def test_a_signature_of_one_address_does_not_open_another() -> None:
    refused(URLS.of(GATHER, KEY), ABOUT, sign(plain(STATUS), PAIRS))


def test_another_account_of_the_same_token_is_refused() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        pairs = [("AccountSid", "AC" + "f" * 32), *ABOUT.items()]
        headers = {"X-Twilio-Signature": sign(plain(GATHER), pairs)}
        status, _ = await caller.raw("POST", caller.local(plain(GATHER)), urlencode(pairs).encode(), headers)
        assert status == 401

    assert run(story).reports == []


@pytest.mark.parametrize(
    ("address", "pairs"),
    [
        (plain(GATHER, "ct_1:1:1"), [("1", ""), *PAIRS]),
        (plain(GATHER, "ct_1:1:1"), [("1AccountSid", ACCOUNT), *PAIRS[1:]]),
        (plain(GATHER, "ct_1:1:11") + "AccountSid" + ACCOUNT, PAIRS[1:]),
    ],
)
def test_the_end_of_the_address_cannot_be_moved(address: str, pairs: list[tuple[str, str]]) -> None:
    """A captured request about attempt 11 has the same signed text as these, which mean something else."""
    captured = sign(plain(GATHER, "ct_1:1:11"), PAIRS)
    assert sign(address, pairs) == captured

    async def story(caller: TwilioCaller, bank: Bank) -> None:
        body = urlencode(pairs).encode()
        status, _ = await caller.raw("POST", caller.local(address), body, {"X-Twilio-Signature": captured})
        assert status == 401

    assert run(story).reports == []


def test_a_replay_is_reported_again_as_it_was_and_nothing_else() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        first = await caller.post(URLS.of(GATHER, KEY), ABOUT)
        assert await caller.post(URLS.of(GATHER, KEY), ABOUT) == first

    assert run(story).reports == [CallReport(KEY, CALL, "completed", "1")] * 2


def test_our_own_fragment_may_be_signed_or_not() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        assert (await caller.post(URLS.of(GATHER, KEY), ABOUT, whole=True))[0] == 200
        assert (await caller.post(plain(GATHER) + "#rc=9", ABOUT, whole=True))[0] == 401

    run(story)


@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_body_is_not_read(declared: bool) -> None:
    """The application's own limit is larger: the handlers keep theirs."""

    async def pieces() -> object:
        for _ in range(70):
            yield b"x" * 1_000

    async def story(caller: TwilioCaller, bank: Bank) -> None:
        body = b"x" * 70_000 if declared else pieces()
        status, _ = await caller.raw("POST", caller.local(plain(GATHER)), body, {})  # type: ignore[arg-type]
        assert status == 413

    run(story)


@pytest.mark.parametrize("path", [VOICE, GATHER, STATUS, SMS, SMS_STATUS])
def test_get_is_not_answered(path: str) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        headers = {"X-Twilio-Signature": sign(plain(path), ())}
        assert (await caller.raw("GET", caller.local(plain(path)), b"", headers))[0] == 405

    run(story)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"AccountSid=\xff", "application/x-www-form-urlencoded"),
        (b"AccountSid=%ff", "application/x-www-form-urlencoded"),
        (b"a=1&" * 201, "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        headers = {"X-Twilio-Signature": sign(plain(GATHER), ()), "Content-Type": kind}
        assert (await caller.raw("POST", caller.local(plain(GATHER)), body, headers))[0] == 401

    run(story)


@pytest.mark.parametrize(
    ("address", "form"),
    [
        (f"{PUBLIC}{GATHER}", ABOUT),
        (f"{PUBLIC}{GATHER}?key=", ABOUT),
        (f"{PUBLIC}{GATHER}?key=a&key=b", ABOUT),
        (plain(GATHER), {"Digits": "1"}),
        (plain(GATHER), ABOUT | {"Digits": "1; drop"}),
        (plain(STATUS), {"CallSid": CALL}),
        (plain(SMS_STATUS), {"MessageSid": "SM1"}),
        (f"{PUBLIC}{SMS}", {"Body": "yes"}),
    ],
)
def test_signed_requests_that_lack_something_are_told_so(address: str, form: dict[str, str]) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        assert (await caller.post(address, form))[0] == 400

    bank = run(story)
    assert (bank.reports, bank.replies) == ([], [])


# --- the store away


@pytest.mark.parametrize(
    ("path", "form", "down"),
    [
        (VOICE, ABOUT, "scripts"),
        (VOICE, ABOUT | {"AnsweredBy": "machine_start"}, "reports"),
        (GATHER, ABOUT, "reports"),
        (STATUS, ABOUT, "reports"),
        (SMS, {"MessageSid": "SM1", "From": BANK}, "replies"),
        (SMS_STATUS, {"MessageSid": "SM1", "MessageStatus": "sent"}, "reports"),
    ],
)
def test_while_the_store_is_away_it_is_to_come_again(path: str, form: dict[str, str], down: str) -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        assert (await caller.post(URLS.of(path, KEY), form))[0] == 503

    run(story, Bank(down))


def test_a_stored_answer_ends_the_call_even_without_words_of_thanks() -> None:
    async def story(caller: TwilioCaller, bank: Bank) -> None:
        status, words = await caller.post(URLS.of(GATHER, KEY), ABOUT)
        assert (status, steps(words)) == (200, ["Hangup"])

    assert run(story, Bank("scripts")).reports == [CallReport(KEY, CALL, "completed", "1")]


def test_the_token_is_in_no_representation() -> None:
    assert TOKEN not in repr(Account(ACCOUNT, TOKEN, URLS))
