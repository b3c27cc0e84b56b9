"""The topics Cardwatch reads and writes: name, key, and how the broker keeps them.

Names are what other teams' programs are written against; an installation may put a prefix before all of them
(``CARDWATCH_TOPIC_PREFIX``), so that two can share servers.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

DEFAULT_PARTITIONS = 6
MODEL_KEY = b"model"
"""Key of the newest model on `control` that goes live by itself."""
MODEL_WITHHELD_KEY = b"model-withheld"
"""Key of the newest model, where it lies outside the bank's bands: it goes live only when somebody promotes it."""
MODEL_ORDER_KEY = b"model-order"
"""Key of what people ordered last about the model."""
MODEL_REPORT_KEY = b"model-report"
"""Key of what the learner tells people of its models."""
_MODEL_KEPT_KEY = b"model-kept:"
_CHALLENGER_KEY = b"challenger:"
_TABLE_KEY = b"table:"
POLICY_KEY = b"policy:"
"""How the key of a policy's text on `control` begins; its version follows."""
MAX_RECORD_BYTES = 900_000
"""No record of ours is larger: below Kafka's default ``message.max.bytes`` with room for headers."""


def table_key(part: int) -> bytes:
    """Key on `control` of one part of the table of entities: the newest of each part is the whole."""
    return _TABLE_KEY + b"%d" % part


def is_table_key(key: bytes | None) -> bool:
    return key is not None and key.startswith(_TABLE_KEY)


def kept_key(slot: int) -> bytes:
    """Key on `control` of one of the earlier versions kept to go back to."""
    return _MODEL_KEPT_KEY + b"%d" % slot


def is_kept_key(key: bytes | None) -> bool:
    return key is not None and key.startswith(_MODEL_KEPT_KEY)


def challenger_key(name: str) -> bytes:
    """Key on `control` of the newest version of a challenger; an empty value: there is none of this name any more."""
    return _CHALLENGER_KEY + name.encode()


def challenger_name(key: bytes | None) -> str | None:
    """The challenger's name in its key; None: another key."""
    if key is None or not key.startswith(_CHALLENGER_KEY):
        return None
    return key[len(_CHALLENGER_KEY) :].decode("utf-8", "replace")


class Topic(NamedTuple):
    """One topic. ``partitions`` None means the installation's number, the same for all of them: a card's
    transactions, decisions and labels share a partition number."""

    name: str
    key: str
    compacted: bool = False
    partitions: int | None = None


TRANSACTIONS = Topic("transactions", "card")
DECISIONS = Topic("decisions", "card")
SCORED = Topic("scored", "partition")
CONTROL = Topic("control", "kind", compacted=True, partitions=1)
LABELS = Topic("labels", "card")
CARD_COMMANDS = Topic("card-commands", "card")
CARD_COMMAND_RESULTS = Topic("card-command-results", "card")
CARD_EVENTS = Topic("card-events", "card")
MOVED_ROWS = Topic("moved-rows", "card")
CUSTOMER_EVENTS = Topic("customer-events", "customer")
CUSTOMERS = Topic("customers", "customer", compacted=True)
CUSTOMER_STATE = Topic("customer-state", "customer", compacted=True)
ACCOUNTS = Topic("accounts", "account")
CONTACT_REQUESTS = Topic("contact-requests", "customer")
CONTACTS = Topic("contacts", "customer")
ANSWERS = Topic("answers", "contact")
DEAD_LETTERS = Topic("dead-letters", "source")

TOPICS = (
    TRANSACTIONS,
    DECISIONS,
    SCORED,
    CONTROL,
    LABELS,
    CARD_COMMANDS,
    CARD_COMMAND_RESULTS,
    CARD_EVENTS,
    MOVED_ROWS,
    CUSTOMER_EVENTS,
    CUSTOMERS,
    CUSTOMER_STATE,
    ACCOUNTS,
    CONTACT_REQUESTS,
    CONTACTS,
    ANSWERS,
    DEAD_LETTERS,
)


class Record(Protocol):
    """One record of a log. ``timestamp`` is the log's own, in milliseconds. (aiokafka's ConsumerRecord is one.)"""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Outgoing(NamedTuple):
    """One record to append."""

    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
