"""Who carries the contact role's calls and messages, as the settings say: each provider behind one guard of its own.

The role needs its channels, and what comes back over them needs the role. So the channels are made first, with an
`Inbox` in the role's place; the role is put into it before anything is started.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pipeline.adapters.channels.email import EmailChannel
from pipeline.adapters.channels.push import PushChannel, renewed_token
from pipeline.adapters.channels.settings import SMTP_PORTS, ChannelSettings, given
from pipeline.adapters.channels.smpp import SmppChannel
from pipeline.adapters.channels.twilio import TwilioClient
from pipeline.adapters.channels.twilio_sms import TwilioSms
from pipeline.adapters.channels.twilio_voice import TwilioVoice
from pipeline.adapters.channels.voice import VoiceProvider
from pipeline.adapters.channels.webhook import WebhookChannel
from pipeline.adapters.channels.wechat import WeChatChannel
from pipeline.adapters.http.callbacks import Routes
from pipeline.adapters.http.twilio_callbacks import Account, TwilioCallbacks
from pipeline.core.twilio import CallbackUrls
from pipeline.ports import Clock, StoreDown
from pipeline.ports_channels import CallOrder, CallReport, MessageChannel, Provider, SentMessages
from pipeline.roles.contact.circuit import Circuit, Guard, GuardedChannel, GuardedProvider
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels


class Listener(Protocol):
    """Who takes what comes back, and knows what a call says: the contact role. Each may raise `StoreDown`."""

    async def reported(self, report: CallReport) -> str: ...

    async def replied(self, channel: str, number: str, text: str, provider_id: str) -> str: ...

    async def script(self, key: str) -> CallOrder | None: ...


class Inbox:
    """A listener that becomes one when it is given another; until then whoever comes is told to come again."""

    def __init__(self) -> None:
        self._listener: Listener | None = None

    def give_to(self, listener: Listener) -> None:
        self._listener = listener

    def _there(self) -> Listener:
        if self._listener is None:
            raise StoreDown("nobody listens yet")
        return self._listener

    async def reported(self, report: CallReport) -> str:
        return await self._there().reported(report)

    async def replied(self, channel: str, number: str, text: str, provider_id: str) -> str:
        return await self._there().replied(channel, number, text, provider_id)

    async def script(self, key: str) -> CallOrder | None:
        return await self._there().script(key)


class Started(Protocol):
    """What keeps connections."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Bank(NamedTuple):
    """What channels say of us. ``callback_url``: where the telephone provider's API reports calls."""

    name: str
    callback_url: str


class Carriers:
    """``channels`` for the role; ``routes`` for the call-back server; ``inbox`` wants the role before `start`. ``known``:
    what all workers know of messages sent; None: this one is alone."""

    def __init__(
        self,
        settings: ChannelSettings,
        bank: Bank,
        clock: Clock,
        metrics: ContactMetrics,
        known: SentMessages | None = None,
    ) -> None:
        self.inbox = Inbox()
        self.routes: list[Routes] = []
        self._settings = settings
        self._bank = bank
        self._clock = clock
        self._metrics = metrics
        self._known = known
        self._kept: list[Started] = []
        self._messages: dict[str, MessageChannel] = {}
        calls = self._voice() if settings.voice_via == "http" else None
        if settings.through_twilio():
            calls = self._twilio() or calls
        if settings.sms_via == "smpp":
            self._smpp()
        self._email()
        self._push()
        self._wechat()
        self._webhook()
        assert calls is not None, "VOICE_VIA has no third way"
        self.channels = Channels(calls, self._messages)

    async def start(self) -> None:
        for one in self._kept:
            await one.start()

    async def stop(self) -> None:
        """Leave every provider; one that cannot be left does not keep the others."""
        outcomes = await asyncio.gather(*(one.stop() for one in self._kept), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _guard(self, rate_s: float | None) -> Guard:
        circuit = Circuit(self._settings.circuit_failures, self._settings.circuit_open_s)
        return Guard(self._clock, circuit, rate_s, burst=max(1.0, rate_s or 0.0))

    def _carry(self, names: Sequence[str], channel: MessageChannel, guard: Guard) -> None:
        for name in names:
            self._messages[name] = GuardedChannel(channel, guard, self._metrics.withhold)
            self._metrics.watch_circuit(name, guard.state)

    def _calls(self, provider: Provider, guard: Guard) -> Provider:
        self._metrics.watch_circuit("voice", guard.state)
        return GuardedProvider(provider, guard, self._metrics.withhold)

    def _voice(self) -> Provider:
        chosen = self._settings
        voice = VoiceProvider(chosen.voice_url, given(chosen.voice_key), self._bank.callback_url, chosen.voice_from)
        self._kept.append(voice)
        return self._calls(voice, self._guard(chosen.voice_rate))

    def _twilio(self) -> Provider | None:
        """Who makes the calls, if they go through Twilio."""
        chosen = self._settings
        account, token = given(chosen.twilio_account), given(chosen.twilio_auth_token)
        client = TwilioClient(account, token, self._clock, chosen.twilio_url)
        urls = CallbackUrls(given(chosen.twilio_public_url))
        guard = self._guard(chosen.twilio_rate)
        self._kept.append(client)
        if chosen.sms_via == "twilio":
            self._carry(["sms"], TwilioSms(client, urls, given(chosen.twilio_sms_from), self._clock), guard)
        whose = Account(account, token, urls, chosen.twilio_transfer)
        self.routes.append(TwilioCallbacks(whose, self.inbox, self.inbox, self.inbox))
        if chosen.voice_via != "twilio":
            return None
        return self._calls(TwilioVoice(client, urls, given(chosen.twilio_caller), self._clock), guard)

    def _smpp(self) -> None:
        chosen = self._settings
        channel = SmppChannel(
            given(chosen.smpp_host),
            chosen.smpp_port,
            given(chosen.smpp_system_id),
            given(chosen.smpp_password),
            given(chosen.sms_from),
            self.inbox.reported,
            self.inbox.replied,
            tls=ssl.create_default_context() if chosen.smpp_tls else None,
            rate_s=chosen.smpp_rate,
            known=self._known,
        )
        self._kept.append(channel)
        self._carry(["sms"], channel, self._guard(None))  # the channel keeps the rate: it knows how many a text becomes

    def _email(self) -> None:
        chosen = self._settings
        if not chosen.smtp_host:
            return
        channel = EmailChannel(
            chosen.smtp_host,
            chosen.smtp_port or SMTP_PORTS[chosen.smtp_security],
            given(chosen.email_from),
            self._clock,
            self._bank.name,
            chosen.smtp_security,
            chosen.smtp_user,
            given(chosen.smtp_password) if chosen.smtp_password else None,
        )
        self._kept.append(channel)
        self._carry(["email"], channel, self._guard(chosen.smtp_rate))

    def _push(self) -> None:
        chosen = self._settings
        if not chosen.push_project:
            return
        token = renewed_token(chosen.push_token_now)
        channel = PushChannel(chosen.push_project, token, self._clock, chosen.push_url)
        self._kept.append(channel)
        self._carry(["push"], channel, self._guard(chosen.push_rate))

    def _wechat(self) -> None:
        chosen = self._settings
        if not chosen.wechat_app_id:
            return
        channel = WeChatChannel(
            chosen.wechat_app_id,
            given(chosen.wechat_secret),
            given(chosen.wechat_template),
            chosen.template_fields(),
            self._clock,
            chosen.wechat_kind,
            chosen.wechat_url,
        )
        self._kept.append(channel)
        self._carry(["wechat"], channel, self._guard(chosen.wechat_rate))

    def _webhook(self) -> None:
        chosen = self._settings
        if not chosen.webhook_url:
            return
        channel = WebhookChannel(chosen.webhook_url, given(chosen.webhook_secret).encode(), self._clock)
        names = [*chosen.by_webhook(), *(["sms"] if chosen.sms_via == "webhook" else [])]
        self._kept.append(channel)
        self._carry(names, channel, self._guard(chosen.webhook_rate))
