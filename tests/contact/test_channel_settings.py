"""Who carries what, as the settings say: whole groups, half ones, none; and what is built of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from channel_world import Api, free_port, order, run, serving
from contact_world import SECRET, SetClock
from message_centre import Centre
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from twilio_mock import ACCOUNT, BANK, PUBLIC, TOKEN, TwilioCaller, TwilioMock

from pipeline.adapters.channels.push import NoToken, renewed_token
from pipeline.adapters.channels.settings import ChannelSettings
from pipeline.adapters.channels.smpp import SmppChannel
from pipeline.adapters.http.callbacks import CallbackServer
from pipeline.app.channels import Bank, Carriers, Inbox
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallAccepted, CallOrder, CallReport
from pipeline.roles.contact.circuit import CIRCUIT_OPEN, RATE_LIMITED, GuardedChannel, GuardedProvider
from pipeline.roles.contact.metrics import ContactMetrics

KEY = "ct_0a1b2c:1:1"
CALL = CallOrder(KEY, "+8613800138042", "en", "Was it you?", "Call us", "Thanks", "Blocked", ["tx1"], 30)
HUSH = "hush-hush-" * 3
VOICE = {"voice_key": HUSH}
TWILIO = {"twilio_account": ACCOUNT, "twilio_auth_token": TOKEN, "twilio_public_url": PUBLIC}
TWILIO_CALLS = {**TWILIO, "voice_via": "twilio", "twilio_caller": BANK}
TWILIO_SMS = {**VOICE, **TWILIO, "sms_via": "twilio", "twilio_sms_from": BANK}
SMPP = {**VOICE, "sms_via": "smpp", "smpp_host": "127.0.0.1", "smpp_system_id": "bank", "smpp_password": "hush",
        "sms_from": "95588"}  # fmt: skip
EMAIL = {**VOICE, "smtp_host": "127.0.0.1", "email_from": "bank@bank.example"}
LOGIN = {**EMAIL, "smtp_user": "bank", "smtp_password": HUSH}
PUSH = {**VOICE, "push_project": "bank-app", "push_token": HUSH}
WECHAT = {**VOICE, "wechat_app_id": "wx1", "wechat_secret": HUSH, "wechat_template": "t1",
          "wechat_fields": '{"thing1": "{text}"}'}  # fmt: skip
WEBHOOK = {**VOICE, "webhook_url": "https://bank.example/messages", "webhook_secret": HUSH}
BY_WEBHOOK = {**WEBHOOK, "sms_via": "webhook", "webhook_channels": "email, wechat"}
WHOLE = [
    (VOICE, set()),
    (TWILIO_CALLS, set()),
    (TWILIO_SMS, {"sms"}),
    (SMPP, {"sms"}),
    (EMAIL, {"email"}),
    (LOGIN, {"email"}),
    (PUSH, {"push"}),
    (WECHAT, {"wechat"}),
    (WEBHOOK, {"webhook"}),
    (BY_WEBHOOK, {"sms", "email", "wechat"}),
    ({**SMPP, **LOGIN, **PUSH, **WECHAT, **WEBHOOK}, {"sms", "email", "push", "wechat", "webhook"}),
]
OPTIONAL = {"twilio_transfer", "webhook_channels"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ChannelSettings.model_fields:
        monkeypatch.delenv(f"CARDWATCH_{name.upper()}", raising=False)
        monkeypatch.delenv(f"CARDWATCH_{name.upper()}_FILE", raising=False)


def carriers(clock: Any = None, registry: CollectorRegistry | None = None, **given: Any) -> Carriers:
    bank = Bank("Bank", "http://127.0.0.1:1/callbacks/voice")
    metrics = ContactMetrics(registry or CollectorRegistry())
    return Carriers(ChannelSettings(**given), bank, clock or SetClock(), metrics)


@pytest.mark.parametrize(("given", "carried"), WHOLE)
def test_a_whole_group_is_built_and_guarded(given: dict[str, Any], carried: set[str]) -> None:
    built = carriers(**given)
    assert set(built.channels.messages) == carried == ChannelSettings(**given).carried()
    assert isinstance(built.channels.calls, GuardedProvider)
    assert all(isinstance(channel, GuardedChannel) for channel in built.channels.messages.values())


HALVES = [
    (group, left_out)
    for group in (VOICE, TWILIO_CALLS, TWILIO_SMS, SMPP, LOGIN, PUSH, WECHAT, WEBHOOK, BY_WEBHOOK)
    for left_out in group
    if not left_out.endswith("_via") and left_out not in OPTIONAL and (left_out != "voice_key" or group is VOICE)
]


@pytest.mark.parametrize(("group", "left_out"), HALVES)
def test_a_half_given_group_is_refused_by_what_is_missing(group: dict[str, Any], left_out: str) -> None:
    given = {name: value for name, value in group.items() if name != left_out}
    with pytest.raises(ValidationError, match=f"CARDWATCH_{left_out.upper()}.* missing"):
        ChannelSettings(**given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"voice_key": "hush"}, "CARDWATCH_VOICE_KEY is short"),
        ({**TWILIO_CALLS, "twilio_account": "AC1"}, "twilio_account"),
        ({**TWILIO_CALLS, "twilio_caller": "the bank"}, "twilio_caller"),
        ({**TWILIO_CALLS, "twilio_public_url": "bank.example"}, "twilio_public_url"),
        ({**SMPP, "sms_from": "a name that is too long"}, "CARDWATCH_SMS_FROM"),
        ({**SMPP, "smpp_password": "hush密"}, "SMPP can carry"),
        ({**EMAIL, "email_from": "Bank <bank@bank.example>"}, "CARDWATCH_EMAIL_FROM"),
        ({**LOGIN, "smtp_security": "none"}, "CARDWATCH_SMTP_SECURITY"),
        ({**WECHAT, "wechat_fields": "thing1=hush"}, "CARDWATCH_WECHAT_FIELDS"),
        ({**WEBHOOK, "webhook_url": "https://user:hush@bank.example"}, "webhook_url"),
        ({**WEBHOOK, "webhook_secret": "whsec_hush!"}, "CARDWATCH_WEBHOOK_SECRET"),
        ({**WEBHOOK, "webhook_secret": "whsec_aHVzaA=="}, "CARDWATCH_WEBHOOK_SECRET is short"),
        ({**WEBHOOK, "webhook_channels": "sms"}, "CARDWATCH_SMS_VIA=webhook"),
        ({**WEBHOOK, "webhook_channels": "telex"}, "not telex"),
        ({**WEBHOOK, **EMAIL, "webhook_channels": "email"}, "email would be carried twice"),
        ({**VOICE, "circuit_failures": 0}, "circuit_failures"),
        ({**VOICE, "twilio_rate": 0}, "twilio_rate"),
    ],
)
def test_a_wrong_value_is_refused_and_no_secret_repeated(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named) as refused:
        ChannelSettings(**given)
    assert "hush" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    shown = repr(ChannelSettings(**{**TWILIO_SMS, **LOGIN, **PUSH, **WECHAT, **WEBHOOK}))
    assert HUSH not in shown
    assert TOKEN not in shown
    assert "bank@bank.example" in shown


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_VOICE_KEY", HUSH)
    monkeypatch.setenv("CARDWATCH_SMTP_PORT", "")
    monkeypatch.setenv("CARDWATCH_TWILIO_CALLER", "")
    assert ChannelSettings().carried() == frozenset()


def test_a_push_token_in_a_file_may_be_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("CARDWATCH_PUSH_TOKEN_FILE", str(file))
    token = renewed_token(ChannelSettings(voice_key=HUSH, push_project="bank-app").push_token_now)

    async def story() -> None:
        assert await token(None) == "first"
        with pytest.raises(NoToken):
            await token("first")
        file.write_text("second\n")
        assert await token("first") == "second"
        file.unlink()
        assert await token(None) == "second"
        with pytest.raises(NoToken):
            await token("second")

    asyncio.run(story())


# --- guards


def test_a_failing_provider_is_left_alone_on_all_it_carries_and_no_other() -> None:
    api = Api(answers=[(500, {})])

    async def story() -> None:
        async with serving(api):
            webhook = {**BY_WEBHOOK, "webhook_url": api.url, "circuit_failures": 2}
            built = carriers(**webhook, push_project="bank-app", push_token=HUSH, push_url=api.url)
            await built.start()
            sms, email, push = (built.channels.messages[name] for name in ("sms", "email", "push"))
            await sms.send(order())
            await email.send(order())
            assert await sms.send(order()) == await email.send(order()) == CIRCUIT_OPEN
            assert await push.send(order()) != CIRCUIT_OPEN
            await built.stop()

    run(story())
    assert [request.path for request in api.requests] == ["/", "/", "/v1/projects/bank-app/messages:send"]


def test_prometheus_sees_who_is_left_alone_and_what_was_withheld() -> None:
    """One provider carries SMS and e-mail; nobody but the voice provider has a circuit of its own beside it."""
    api = Api(answers=[(500, {})])
    registry, clock = CollectorRegistry(), SetClock()

    def circuits() -> dict[str, float | None]:
        names = ("voice", "sms", "email", "push")
        return {name: registry.get_sample_value("cardwatch_provider_circuit", {"channel": name}) for name in names}

    def withheld(channel: str, reason: str) -> float | None:
        labels = {"channel": channel, "reason": reason}
        return registry.get_sample_value("cardwatch_provider_orders_withheld_total", labels)

    async def story() -> None:
        async with serving(api):
            webhook = {**BY_WEBHOOK, "webhook_url": api.url, "circuit_failures": 2, "circuit_open_s": 30.0}
            built = carriers(clock, registry, **webhook, voice_url=api.url, voice_rate=0.001)
            assert circuits() == dict.fromkeys(("voice", "sms", "email", "push"), 0.0)
            assert withheld("sms", "circuit_open") == 0.0
            await built.start()
            sms = built.channels.messages["sms"]
            for _ in range(3):
                await sms.send(order(channel="sms"))
            assert circuits() == {"voice": 0.0, "sms": 1.0, "email": 1.0, "push": 0.0}
            clock.pass_s(30.0)
            assert circuits() == {"voice": 0.0, "sms": 0.5, "email": 0.5, "push": 0.0}
            for _ in range(2):
                await built.channels.calls.place(CALL)
            await built.stop()

    run(story())
    assert (withheld("sms", "circuit_open"), withheld("email", "circuit_open")) == (1.0, 0.0)
    assert (withheld("voice", "rate_limited"), withheld("voice", "circuit_open")) == (1.0, 0.0)


def test_the_rate_of_a_message_centre_is_kept_once_and_does_not_open_its_circuit() -> None:
    """A text of two messages at a rate for one: nothing leaves, and a short one after it does."""
    centre, registry = Centre(), CollectorRegistry()

    async def go() -> list[object]:
        server = await asyncio.start_server(centre.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        built = carriers(registry=registry, **SMPP, smpp_port=port, smpp_rate=0.1, circuit_failures=1)
        await built.start()
        for kept in built._kept:
            if isinstance(kept, SmppChannel):
                await kept.bound.wait()
        sms = built.channels.messages["sms"]
        outcomes = [await sms.send(order(channel="sms", key=text, text=text)) for text in ("x" * 161, "x")]
        await built.stop()
        server.close()
        return [*outcomes]

    assert run(go()) == [RATE_LIMITED, CallAccepted("m1")]
    labels = {"channel": "sms", "reason": "rate_limited"}
    assert registry.get_sample_value("cardwatch_provider_orders_withheld_total", labels) == 1.0


def test_no_provider_is_asked_more_often_than_its_rate() -> None:
    api = Api()

    async def story() -> list[object]:
        async with serving(api):
            built = carriers(**{**WEBHOOK, "webhook_url": api.url, "webhook_rate": 0.5})
            await built.start()
            outcomes = [await built.channels.messages["webhook"].send(order()) for _ in range(2)]
            await built.stop()
            return [*outcomes]

    first, second = run(story())
    assert isinstance(first, CallAccepted)
    assert second == RATE_LIMITED


# --- what comes back


class Role:
    """Who takes what comes back."""

    def __init__(self) -> None:
        self.reports: list[CallReport] = []
        self.replies: list[tuple[str, str, str]] = []

    async def reported(self, report: CallReport) -> str:
        self.reports.append(report)
        return "taken"

    async def replied(self, channel: str, number: str, text: str, provider_id: str) -> str:
        self.replies.append((channel, number, text))
        return "taken"

    async def script(self, key: str) -> CallOrder | None:
        return CALL if key == KEY else None


def on_the_wire(story: Callable[[Carriers, int], Awaitable[None]], **given: Any) -> None:
    """``story`` with carriers and the port of a call-back server that has their routes."""

    async def go() -> None:
        built = carriers(**given)
        server = CallbackServer(Role(), SECRET.encode(), "127.0.0.1", 0, SetClock(), built.routes)
        await server.start()
        await built.start()
        try:
            await story(built, server.port)
        finally:
            await built.stop()
            await server.stop()

    run(go())


@pytest.mark.parametrize("path", ["voice", "gather", "status", "sms", "sms-status"])
def test_twilio_is_heard_only_with_its_signature(path: str) -> None:
    async def story(built: Carriers, port: int) -> None:
        url = f"http://127.0.0.1:{port}/callbacks/twilio/{path}?key={KEY}"
        async with aiohttp.ClientSession() as session, session.post(url, data={"AccountSid": ACCOUNT}) as answer:
            assert answer.status == 401

    on_the_wire(story, **TWILIO_SMS)


def test_without_twilio_nobody_answers_for_it() -> None:
    async def story(built: Carriers, port: int) -> None:
        url = f"http://127.0.0.1:{port}/callbacks/twilio/sms"
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            assert answer.status == 404

    on_the_wire(story, **VOICE)


def test_a_call_through_twilio_comes_back_to_the_role() -> None:
    role = Role()

    async def go() -> None:
        async with TwilioMock().running() as mock:
            built = carriers(SetClock(mock.now), **TWILIO_CALLS, twilio_url=mock.url)
            server = CallbackServer(role, SECRET.encode(), "127.0.0.1", 0, SetClock(), built.routes)
            await server.start()
            await built.start()
            built.inbox.give_to(role)
            placed = await built.channels.calls.place(CALL)
            assert isinstance(placed, CallAccepted)
            assert "Say:Was it you?" in await TwilioCaller(server.port).ring(mock, placed.call, "human", "1")
            await built.stop()
            await server.stop()
            assert mock.violations == []

    run(go())
    assert ("completed", "1") in [(report.status, report.digits) for report in role.reports]


def test_before_there_is_a_role_everything_is_to_come_again() -> None:
    async def story() -> None:
        inbox = Inbox()
        with pytest.raises(StoreDown):
            await inbox.reported(CallReport(KEY, "c", "ringing"))
        with pytest.raises(StoreDown):
            await inbox.replied("sms", "+8613800138042", "yes", "m1")
        with pytest.raises(StoreDown):
            await inbox.script(KEY)

    asyncio.run(story())


def test_a_reply_by_smpp_comes_back_to_the_role() -> None:
    role, centre = Role(), Centre()

    async def go() -> None:
        connected = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            centre.writer = writer
            connected.set()
            await centre.serve(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        built = carriers(**SMPP, smpp_port=server.sockets[0].getsockname()[1])
        built.inbox.give_to(role)
        await built.start()
        await connected.wait()
        assert await centre.delivered(7, b"NO") == 0
        await built.stop()
        server.close()

    run(go())
    assert role.replies == [("sms", "+8613800138042", "NO")]


def test_stopping_leaves_every_provider() -> None:
    async def go() -> None:
        built = carriers(**{**SMPP, **PUSH, **WEBHOOK}, smpp_port=free_port())
        await built.start()
        await built.stop()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    run(go())


def test_wechat_fields_are_json() -> None:
    fields = {"thing1": "{subject}", "thing2": "{text}"}
    assert ChannelSettings(**{**WECHAT, "wechat_fields": json.dumps(fields)}).template_fields() == fields
