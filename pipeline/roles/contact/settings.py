"""What an operator may set for the contact role."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.settings import PREFIX, Settings

LEAST_KEY_BYTES = 16


class ContactSettings(Settings):
    """``CARDWATCH_…``. The profile names a file of times in ``config/contact``."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # the input holds secrets

    callback_host: str = "127.0.0.1"
    callback_port: int = 8081
    callback_url: str | None = None
    """How the provider reaches ``/callbacks/voice``; by default on this host and port."""
    callback_secret: SecretStr | None = None
    voice_url: str = "http://127.0.0.1:8090"
    voice_key: SecretStr | None = None
    voice_from: str = "Cardwatch"
    """The caller id shown to the customer."""
    contact_profile: str = Field(default="demo", pattern=r"^[A-Za-z0-9_-]+$")
    contact_calls_in_flight: int = Field(default=64, ge=1, le=10_000)
    """Requests to the provider at the same time, per worker."""
    bank_name: str = Field(default="Cardwatch Bank", min_length=1, max_length=60)

    @property
    def store_url(self) -> str:
        """The server of the contact workflow: its own, or the one of the profiles."""
        return self.redis_contact_url or self.redis_url

    def signing_key(self) -> bytes:
        """What the provider signs call-backs with."""
        assert self.callback_secret is not None, "checked when the settings were read"
        return self.callback_secret.get_secret_value().encode()

    def voice_bearer(self) -> str:
        assert self.voice_key is not None, "checked when the settings were read"
        return self.voice_key.get_secret_value()

    def voice_callback_url(self) -> str:
        return self.callback_url or f"http://{self.callback_host}:{self.callback_port}/callbacks/voice"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, secret in (("CALLBACK_SECRET", self.callback_secret), ("VOICE_KEY", self.voice_key)):
            if secret is None:
                raise ValueError(f"{PREFIX}{name} (or {PREFIX}{name}_FILE) is missing")
            if len(secret.get_secret_value().encode()) < LEAST_KEY_BYTES:
                raise ValueError(f"{PREFIX}{name} is short: give it {LEAST_KEY_BYTES} bytes or more")
        return self
