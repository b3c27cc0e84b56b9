"""The caller id or sender that the contact profile names for a class goes out with the call or message; else the channel's
own."""

import asyncio
import shutil
from pathlib import Path

import pytest
from channel_world import Api, order, run, serving
from contact_world import SetClock, World, calls_only, customer, decision, own, until_done
from message_centre import QUERY, Bank, Centre, bound
from twilio_mock import ACCOUNT, BANK, PUBLIC, TOKEN, TwilioMock

from pipeline.adapters.channels.email import EmailChannel
from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_sms import TwilioSms
from pipeline.adapters.channels.twilio_voice import TwilioVoice
from pipeline.adapters.channels.voice import VoiceProvider
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.twilio import CallbackUrls
from pipeline.ports_channels import CallAccepted, CallOrder, CallRefused
from pipeline.roles.contact.role import ContactRole

OTHER = "+15005550007"
CALL = CallOrder("ct_1:1:1", "+8613800138042", "en", "Was it you?", "Call us", "Thanks", "Blocked", ["tx1"], 30)


@pytest.mark.parametrize(("line", "sender"), [("", ""), (f'sender = "{OTHER}"', OTHER)])
def test_the_profiles_sender_is_in_the_order_and_stays_with_the_attempt(line: str, sender: str, tmp_path: Path) -> None:
    config = Path(shutil.copytree(calls_only(), tmp_path / "config"))
    profile = config / "contact" / "demo.toml"
    text = profile.read_text(encoding="utf-8")
    assert text.count("[[channel]]\n") == 1
    profile.write_text(text.replace("[[channel]]\n", f"[[channel]]\n{line}\n"), encoding="utf-8")
    world = World(MemoryContactStore(), config=config)

    async def go() -> tuple[ContactRole, CallOrder | None]:
        role = world.worker()
        await role.customers([customer()])
        await own(role)
        await role.polled({0: [decision()]})
        await until_done(role)
        return role, await role.script(world.provider.orders[0].key)

    _, script = asyncio.run(go())
    assert [placed.sender for placed in world.provider.orders] == [sender]
    assert script is not None
    assert script.sender == sender


@pytest.mark.parametrize(("sender", "shown"), [("", BANK), (OTHER, OTHER)])
def test_a_call_shows_it(sender: str, shown: str) -> None:
    api = Api(answers=[(201, {"call_id": "c1"})])

    async def go() -> TwilioMock:
        async with serving(api), VoiceProvider(api.url, "key", "http://127.0.0.1:1/", BANK) as voice:
            assert await voice.place(CALL._replace(sender=sender)) == CallAccepted("c1")
        async with TwilioMock().running() as mock:
            clock = SetClock(mock.now)
            async with TwilioClient(ACCOUNT, TOKEN, clock, mock.url) as client:
                urls = CallbackUrls(PUBLIC)
                await TwilioVoice(client, urls, BANK, clock).place(CALL._replace(sender=sender))
                await TwilioSms(client, urls, BANK, clock).send(order(sender=sender))
            return mock

    mock = run(go())
    assert api.requests[0].json()["from"] == shown
    assert [dict(form)["From"] for _, form in mock.requests] == [shown, shown]
    assert mock.violations == []


@pytest.mark.parametrize(("sender", "source"), [("", b"\x03\x0195588\0"), ("BANK", b"\x05\0BANK\0")])
def test_an_sms_by_smpp_bears_it_and_is_asked_about_by_it(sender: str, source: bytes) -> None:
    centre = Centre()

    async def go() -> None:
        async with bound(centre, Bank()) as channel:
            await channel.send(order(sender=sender))
            await channel.find(order().key)

    run(go())
    (submitted,) = centre.submitted()
    assert submitted[1:].startswith(source)
    (asked,) = [body for command, body in centre.requests if command == QUERY]
    assert asked.endswith(source)


def test_a_sender_that_the_channel_cannot_bear_is_refused_for_good() -> None:
    async def go() -> None:
        async with bound(Centre(), Bank()) as channel:
            sms = await channel.send(order(sender="a name that is too long"))
            assert sms == CallRefused(True, "bad_sender")
        email = EmailChannel("127.0.0.1", 1, "bank@bank.example", SetClock())
        mail = await email.send(order(to="li@customer.example", sender=OTHER))
        assert mail == CallRefused(True, "bad_address")

    run(go())
