"""The desk's own settings: where it listens, and whose phone it shows beside the alerts."""

import ipaddress

from pydantic import AnyHttpUrl, Field, field_validator

from pipeline.settings import Settings


class DeskSettings(Settings):
    """``desk_phone_url`` is the base address of a telephony simulator; its ``/phone`` page is framed beside the
    alerts. Without it the page shows no phone."""

    desk_host: str = "127.0.0.1"
    desk_port: int = Field(default=8080, ge=0, le=65_535)
    desk_phone_url: AnyHttpUrl | None = None

    @field_validator("desk_host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        """Whoever reaches the desk sees every alert: until it has accounts, only this machine may."""
        try:
            loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError(
                f"CARDWATCH_DESK_HOST is {host!r}: the desk has no accounts yet and listens on a loopback address only. "
                "Use 127.0.0.1, ::1 or localhost, and reach it from elsewhere through an SSH tunnel."
            )
        return host
