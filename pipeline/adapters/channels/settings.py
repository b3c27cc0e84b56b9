"""What an operator may set about who carries calls and messages.

Each provider's settings are a group. A group is wanted when VOICE_VIA or SMS_VIA names it, or when one of its settings is
given; then all it needs must be there, and what is missing is named. What nobody sets up is not carried.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.adapters.channels import push, smpp_pdu, twilio, wechat
from pipeline.adapters.channels.email import Security, is_address
from pipeline.core.conversation import CHANNELS
from pipeline.core.webhook import signing_key
from pipeline.settings import PREFIX, Settings, checked_address

LEAST_KEY_BYTES = 16
SMTP_PORTS: Mapping[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
BY_WEBHOOK = frozenset(CHANNELS) - {"voice", "sms"}
"""What WEBHOOK_CHANNELS may name; for SMS there is SMS_VIA."""
TWILIO_NEEDS = ("twilio_account", "twilio_auth_token", "twilio_public_url")

Number = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]
Port = Annotated[int, Field(ge=1, le=65_535)]
Rate = Annotated[float | None, Field(gt=0)]
"""Messages a second of one process; None: no limit of ours."""


class ChannelSettings(Settings):
    """``CARDWATCH_…``. An empty variable is as good as none."""

    model_config = SettingsConfigDict(hide_input_in_errors=True, env_ignore_empty=True)

    voice_via: Literal["http", "twilio"] = "http"
    sms_via: Literal["none", "twilio", "smpp", "webhook"] = "none"

    voice_url: str = "http://127.0.0.1:8090"
    voice_key: SecretStr | None = None
    voice_from: str = "Cardwatch"
    """The caller id shown to the customer."""
    voice_rate: Rate = None

    twilio_account: Annotated[str, Field(pattern=f"^{twilio.ACCOUNT_SID.pattern}$")] | None = None
    twilio_auth_token: SecretStr | None = None
    """The account's primary one: Twilio signs call-backs with it."""
    twilio_public_url: str | None = None
    """What stands before ``/callbacks/twilio/…``, as Twilio sees it."""
    twilio_caller: Number | None = None
    twilio_sms_from: str | None = None
    twilio_transfer: Number | None = None
    """The bank's call centre, for who says no or asks for a person."""
    twilio_url: str = twilio.API
    twilio_rate: Rate = None

    smpp_host: str | None = None
    smpp_port: Port = 2775
    smpp_system_id: str | None = None
    smpp_password: SecretStr | None = None
    smpp_tls: bool = False
    sms_from: str | None = None
    """The sender of SMS by SMPP: number with plus, short code, or name."""
    smpp_rate: Annotated[float, Field(gt=0)] = 50.0

    smtp_host: str | None = None
    smtp_port: Port | None = None
    """None: the usual one of ``smtp_security``."""
    smtp_security: Security = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    email_from: str | None = None
    smtp_rate: Rate = None

    push_project: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]+$")] | None = None
    push_token: SecretStr | None = None
    push_url: str = push.API
    push_rate: Rate = None

    wechat_app_id: str | None = None
    wechat_secret: SecretStr | None = None
    wechat_template: str | None = None
    wechat_fields: str | None = None
    """JSON: the template's field → the words in it, with ``{text}`` and ``{subject}``."""
    wechat_kind: wechat.Kind = "template"
    wechat_url: str = wechat.API
    wechat_rate: Rate = None

    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    webhook_channels: str = "webhook"
    webhook_rate: Rate = None

    circuit_failures: int = Field(default=5, ge=1)
    circuit_open_s: float = Field(default=30.0, gt=0)

    def carried(self) -> frozenset[str]:
        """The channels by which messages go; calls always do."""
        own = {"email": self.smtp_host, "push": self.push_project, "wechat": self.wechat_app_id}
        named = {name for name, given in own.items() if given}
        return frozenset(named | ({"sms"} if self.sms_via != "none" else set()) | set(self.by_webhook()))

    def by_webhook(self) -> tuple[str, ...]:
        """What WEBHOOK_CHANNELS names, where there is a webhook."""
        return tuple(name.strip() for name in self.webhook_channels.split(",")) if self.webhook_url else ()

    def through_twilio(self) -> bool:
        return "twilio" in (self.voice_via, self.sms_via)

    def template_fields(self) -> Mapping[str, str]:
        """WECHAT_FIELDS. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.wechat_fields or "{}", type=dict[str, str])

    def push_token_now(self) -> str:
        """PUSH_TOKEN; from PUSH_TOKEN_FILE as it is now, since such a token lasts an hour. Raises OSError."""
        path = os.environ.get(f"{PREFIX}PUSH_TOKEN_FILE")
        return Path(path).read_text(encoding="utf-8").strip() if path else given(self.push_token)

    @field_validator("voice_url", "twilio_url", "twilio_public_url", "push_url", "wechat_url", "webhook_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return checked_address(url)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_calls()
        self._check_smpp()
        self._check_email()
        self._complete("app pushes", ("push_project", "push_token"))
        self._check_wechat()
        self._check_webhook()
        return self

    def _complete(self, what: str, needs: tuple[str, ...], others: tuple[str, ...] = (), wanted: bool = False) -> None:
        """Raises ValueError if ``what`` is wanted, or begun by any of its settings, and lacks one of ``needs``."""
        missing = [f"{PREFIX}{name.upper()}" for name in needs if not getattr(self, name)]
        if missing and (wanted or any(getattr(self, name) for name in (*needs, *others))):
            verb, they = ("is", "it") if len(missing) == 1 else ("are", "them")
            raise ValueError(f"{' and '.join(missing)} {verb} missing: {what} cannot do without {they}")

    def _check_calls(self) -> None:
        if self.voice_via == "http" and not self.voice_key:
            raise ValueError(f"{PREFIX}VOICE_KEY (or {PREFIX}VOICE_KEY_FILE) is missing")
        self._long_enough("VOICE_KEY", self.voice_key)
        others = ("twilio_caller", "twilio_sms_from", "twilio_transfer")
        self._complete("Twilio", TWILIO_NEEDS, others, wanted=self.through_twilio())
        self._complete("calls through Twilio", ("twilio_caller",), wanted=self.voice_via == "twilio")
        self._complete("SMS through Twilio", ("twilio_sms_from",), wanted=self.sms_via == "twilio")

    def _check_smpp(self) -> None:
        needs = ("smpp_host", "smpp_system_id", "smpp_password", "sms_from")
        self._complete("SMS by SMPP", needs, wanted=self.sms_via == "smpp")
        if not self.smpp_host:
            return
        try:
            smpp_pdu.sender(given(self.sms_from))
        except ValueError as error:
            raise ValueError(f"{PREFIX}SMS_FROM: {error}") from None
        try:
            smpp_pdu.bind_transceiver(given(self.smpp_system_id), given(self.smpp_password))
        except ValueError:  # its words may quote the password
            raise ValueError(
                f"{PREFIX}SMPP_SYSTEM_ID (at most 15 characters) or {PREFIX}SMPP_PASSWORD (at most 64) is longer than "
                "SMPP can carry, or holds other than Latin-1"
            ) from None

    def _check_email(self) -> None:
        login = ("smtp_user", "smtp_password")
        self._complete("e-mail", ("smtp_host", "email_from"), login)
        self._complete("a login at the mail server", login)
        if self.email_from and not is_address(self.email_from):
            raise ValueError(f"{PREFIX}EMAIL_FROM is no plain address (name@domain)")
        if self.smtp_user and self.smtp_security == "none":
            raise ValueError(f"{PREFIX}SMTP_PASSWORD goes over TLS only: set {PREFIX}SMTP_SECURITY to starttls or tls")

    def _check_wechat(self) -> None:
        self._complete("WeChat", ("wechat_app_id", "wechat_secret", "wechat_template", "wechat_fields"))
        try:
            fields = self.template_fields()
        except msgspec.DecodeError:
            fields = {}
        if self.wechat_fields and not fields:
            raise ValueError(f'{PREFIX}WECHAT_FIELDS is no JSON like {{"thing1": "{{subject}}", "thing2": "{{text}}"}}')

    def _check_webhook(self) -> None:
        self._complete("the webhook", ("webhook_url", "webhook_secret"), wanted=self.sms_via == "webhook")
        if self.webhook_secret:
            try:
                signing_key(given(self.webhook_secret).encode())
            except ValueError as error:
                raise ValueError(f"{PREFIX}WEBHOOK_SECRET: {error}") from None
            self._long_enough("WEBHOOK_SECRET", self.webhook_secret)
        if unknown := set(self.by_webhook()) - BY_WEBHOOK:
            raise ValueError(
                f"{PREFIX}WEBHOOK_CHANNELS may name {', '.join(sorted(BY_WEBHOOK))}, not {', '.join(sorted(unknown))}; "
                f"SMS go there by {PREFIX}SMS_VIA=webhook"
            )
        for name, other in (("email", "smtp_host"), ("push", "push_project"), ("wechat", "wechat_app_id")):
            if name in self.by_webhook() and getattr(self, other):
                raise ValueError(
                    f"{name} would be carried twice: by {PREFIX}{other.upper()} and {PREFIX}WEBHOOK_CHANNELS"
                )

    def _long_enough(self, name: str, secret: SecretStr | None) -> None:
        key = signing_key(given(secret).encode()) if secret else None
        if key is not None and len(key) < LEAST_KEY_BYTES:
            raise ValueError(f"{PREFIX}{name} is short: give it {LEAST_KEY_BYTES} bytes or more")


def given(value: str | SecretStr | None) -> str:
    """A setting that was checked to be there, in clear."""
    assert value is not None, "checked when the settings were read"
    return value.get_secret_value() if isinstance(value, SecretStr) else value
