"""What an operator may set for the crm role. A system is told things when its settings are given; then all it needs must
be there, and what is missing is named. An empty variable is as good as none."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.core.webhook import signing_key
from pipeline.settings import PREFIX, Settings, checked_address

LEAST_KEY_BYTES = 16
NEEDS = {
    "the webhook for other systems": ("crm_webhook_url", "crm_webhook_secret"),
    "Zoho CRM": ("crm_zoho_client_id", "crm_zoho_client_secret", "crm_zoho_refresh_token"),
    "Fxiaoke": ("crm_fxiaoke_app_id", "crm_fxiaoke_app_secret", "crm_fxiaoke_permanent_code", "crm_fxiaoke_user"),
}
"""What belongs together, by the name of the system."""


class CrmSettings(Settings):
    """``CARDWATCH_CRM_…``."""

    model_config = SettingsConfigDict(hide_input_in_errors=True, env_ignore_empty=True)

    crm_mapping: str = "crm.toml"
    """What goes where; below CONFIG_DIR when relative."""

    crm_webhook_url: str | None = None
    crm_webhook_secret: SecretStr | None = None

    crm_zoho_client_id: str | None = None
    crm_zoho_client_secret: SecretStr | None = None
    crm_zoho_refresh_token: SecretStr | None = None
    crm_zoho_accounts_url: str = "https://accounts.zoho.com"
    """Of the data centre where the organisation is."""
    crm_zoho_url: str = "https://www.zohoapis.com"

    crm_fxiaoke_app_id: str | None = None
    crm_fxiaoke_app_secret: SecretStr | None = None
    crm_fxiaoke_permanent_code: SecretStr | None = None
    crm_fxiaoke_user: str | None = None
    """openUserId of the employee in whose name rows are written."""
    crm_fxiaoke_url: str = "https://open.fxiaoke.com"
    crm_fxiaoke_rate: Annotated[float, Field(gt=0)] = 5.0
    """Requests a second to each of its interfaces."""

    crm_staff_urls: SecretStr | None = None
    """Apprise URLs, separated by blanks or lines."""
    crm_staff_per_minute: int = Field(default=6, ge=1, le=600)
    crm_staff_language: Literal["en", "zh", "both"] = "both"

    @field_validator("crm_webhook_url", "crm_zoho_accounts_url", "crm_zoho_url", "crm_fxiaoke_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return checked_address(url)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, needs in NEEDS.items():
            missing = [f"{PREFIX}{name.upper()}" for name in needs if not getattr(self, name)]
            if missing and len(missing) < len(needs):
                verb, they = ("is", "it") if len(missing) == 1 else ("are", "them")
                raise ValueError(f"{' and '.join(missing)} {verb} missing: {what} cannot do without {they}")
        if self.crm_webhook_secret:
            try:
                key = signing_key(self.crm_webhook_secret.get_secret_value().encode())
            except ValueError as error:
                raise ValueError(f"{PREFIX}CRM_WEBHOOK_SECRET: {error}") from None
            if len(key) < LEAST_KEY_BYTES:
                raise ValueError(f"{PREFIX}CRM_WEBHOOK_SECRET is short: give it {LEAST_KEY_BYTES} bytes or more")
        return self

    def staff_urls(self) -> list[str]:
        return self.crm_staff_urls.get_secret_value().split() if self.crm_staff_urls else []
