"""What the reminder role is told by its environment: nothing of its own yet, but where its store is."""

from pipeline.settings import Settings


class ReminderSettings(Settings):
    """``CARDWATCH_…``."""

    @property
    def store_url(self) -> str:
        """The server of the contact workflow, for the contact role compares what is owed there: its own, or the one of the
        profiles."""
        return self.redis_contact_url or self.redis_url
