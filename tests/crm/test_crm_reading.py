"""How far other systems were told outlives a reader: on the embedded broker."""

from crm.reading_behaviour import *  # noqa: F403 - the tests are the module's content
