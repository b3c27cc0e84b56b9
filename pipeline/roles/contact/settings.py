"""What an operator may set for the contact role."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.core.texts_facts import LENGTHS
from pipeline.settings import PREFIX, Settings

LEAST_KEY_BYTES = 16


def wrong_profile(contact_profile: str) -> Iterator[str]:
    """What is wrong with the name of the profile. None is usual: whoever calls people at any hour must have meant it."""
    if not contact_profile:
        yield (
            f"{PREFIX}CONTACT_PROFILE is missing: who may be contacted when; name a file of config/contact, such as cn, "
            "eu, in, uk, us (demo contacts people at any hour: for trying out only)"
        )


def wrong_key(contact_key: SecretStr | None) -> Iterator[str]:
    """What is wrong with the key of the store's digests."""
    if contact_key is None:
        yield (
            f"{PREFIX}CONTACT_KEY (or {PREFIX}CONTACT_KEY_FILE) is missing: telephone numbers stand in the contact store "
            "as digests under it; make one once, with openssl rand -hex 32, and keep it"
        )
    elif len(contact_key.get_secret_value().encode()) < LEAST_KEY_BYTES:
        yield f"{PREFIX}CONTACT_KEY is short: give it {LEAST_KEY_BYTES} bytes or more"


class ContactSettings(Settings):
    """``CARDWATCH_…``. The profile names a file of times in ``config/contact``."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # the input holds secrets

    callback_host: str = "127.0.0.1"
    callback_port: int = 8081
    callback_url: str | None = None
    """How the telephone provider reaches ``/callbacks/voice``; by default on this host and port."""
    callback_secret: SecretStr | None = None
    ivr_key: SecretStr | None = None
    """What the bank's telephone menu shows to look up and answer open contacts; without it, it may not."""
    app_key: SecretStr | None = None
    """The same for the bank's app."""
    agent_key: SecretStr | None = None
    """The same for the agents' desk."""
    contact_profile: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    contact_key: SecretStr | None = None
    """Numbers and addresses stand in the store as digests under it."""
    contact_calls_in_flight: int = Field(default=64, ge=1, le=10_000)
    """Requests to the provider at the same time, per worker."""
    bank_name: str = Field(default="Cardwatch Bank", min_length=1, max_length=LENGTHS["bank"])

    @property
    def store_url(self) -> str:
        """The server of the contact workflow: its own, or the one of the profiles."""
        return self.redis_contact_url or self.redis_url

    def signing_key(self) -> bytes:
        """What the provider signs call-backs with."""
        assert self.callback_secret is not None, "checked when the settings were read"
        return self.callback_secret.get_secret_value().encode()

    def digest_key(self) -> bytes:
        """What digests of numbers and addresses are made with."""
        assert self.contact_key is not None, "checked when the settings were read"
        return self.contact_key.get_secret_value().encode()

    def front_end_keys(self) -> dict[str, bytes]:
        """Front end → the key it shows; those without one are missing."""
        given = {"ivr": self.ivr_key, "app": self.app_key, "agent": self.agent_key}
        return {name: key.get_secret_value().encode() for name, key in given.items() if key is not None}

    def voice_callback_url(self) -> str:
        return self.callback_url or f"http://{self.callback_host}:{self.callback_port}/callbacks/voice"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if refusals := [*wrong_profile(self.contact_profile), *wrong_key(self.contact_key), *self._wrong_secrets()]:
            raise ValueError("\n".join(refusals))
        return self

    def _wrong_secrets(self) -> Iterator[str]:
        if self.callback_secret is None:
            yield f"{PREFIX}CALLBACK_SECRET (or {PREFIX}CALLBACK_SECRET_FILE) is missing: the provider signs with it"
        elif len(self.signing_key()) < LEAST_KEY_BYTES:
            yield f"{PREFIX}CALLBACK_SECRET is short: give it {LEAST_KEY_BYTES} bytes or more"
        keys = self.front_end_keys()
        for name, key in keys.items():
            if len(key) < LEAST_KEY_BYTES:
                yield f"{PREFIX}{name.upper()}_KEY is short: give it {LEAST_KEY_BYTES} bytes or more"
        if len(set(keys.values())) < len(keys):
            yield f"{PREFIX}IVR_KEY, {PREFIX}APP_KEY and {PREFIX}AGENT_KEY must differ: a key says who asks"
