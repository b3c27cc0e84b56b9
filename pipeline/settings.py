"""Settings every role shares: environment variables ``CARDWATCH_…``, secrets also as ``CARDWATCH_…_FILE``."""

import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CARDWATCH_"


def checked_address(url: str | None) -> str | None:
    """``url``, if it is none or an http(s) address without user and fragment. Raises ValueError."""
    try:
        parts = urlsplit(url or "http://none")
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or bool(parts.fragment)
        wrong = wrong or parts.username is not None or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise ValueError("not an address like https://HOST/path")
    return url


class Settings(BaseSettings):
    """Where the servers are, and what is common to all roles. A role's own settings extend this class."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    kafka_bootstrap: str = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca: Path | None = None
    kafka_ssl_certificate: Path | None = None
    kafka_ssl_key: Path | None = None
    topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$")
    redis_url: str = "redis://localhost:6379/0"
    redis_contact_url: str | None = None
    config_dir: Path = Path("config")
    bank_time_zone: str = "Asia/Shanghai"
    billing_currency: str = "CNY"
    reminder_plan: Path = Path("policies/reminders.toml")
    """Below the configuration directory when relative."""
    token_key: SecretStr | None = None
    snapshot_key: SecretStr | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65_000)
    """None: the role's own default (scorer 9120, …); a worker adds its number."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, object]) -> dict[str, object]:
        """``CARDWATCH_X_FILE`` names a file whose content, less a final newline, is X."""
        for name in cls.model_fields:
            path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
            if path:
                if values.get(name) is not None:
                    raise ValueError(f"{PREFIX}{name.upper()} and {PREFIX}{name.upper()}_FILE are both set: keep one")
                values[name] = Path(path).read_text().rstrip("\n")
        return values

    @field_validator("redis_url", "redis_contact_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        """Refused here: what takes a wrong one apart later would quote a piece of the password."""
        try:
            parts = urlsplit(url or "redis:")
            wrong = parts.scheme not in ("redis", "rediss", "unix") or parts.port == 0
        except ValueError:
            wrong = True
        if wrong:
            raise ValueError(
                "not an address like redis://USER:PASSWORD@HOST:PORT/0 (rediss:// for TLS; a password's / ? # @ : % are "
                "written %2F %3F %23 %40 %3A %25)"
            )
        return url

    @model_validator(mode="after")
    def _has_what_sasl_needs(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL"):
            for name in ("kafka_sasl_username", "kafka_sasl_password"):
                if not getattr(self, name):
                    raise ValueError(f"{PREFIX}{name.upper()} is missing: {self.kafka_security_protocol} needs it")
        return self
