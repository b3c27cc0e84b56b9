"""What an operator may set for the reminder role."""

from pathlib import Path

from pipeline.settings import Settings


class ReminderSettings(Settings):
    """``CARDWATCH_…``."""

    reminder_plan: Path = Path("policies/reminders.toml")
    """Below CONFIG_DIR, or anywhere when absolute; read anew when it changes."""

    @property
    def store_url(self) -> str:
        """The server of the contact workflow: its own, or the one of the profiles."""
        return self.redis_contact_url or self.redis_url
