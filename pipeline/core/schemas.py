"""JSON Schemas of the topics other teams write to and read from, generated from the very types the code uses."""

from types import UnionType
from typing import Any

import msgspec

from pipeline.core.account_event import AccountEvent
from pipeline.core.card_event import CardEvent
from pipeline.core.decision import Decision
from pipeline.core.records import (
    Answer,
    CardCommand,
    CardCommandResult,
    ContactRequest,
    ContactStep,
    Customer,
    CustomerEvent,
    CustomerState,
    DeadLetter,
    Label,
)
from pipeline.core.topics import (
    ACCOUNTS,
    ANSWERS,
    CARD_COMMAND_RESULTS,
    CARD_COMMANDS,
    CARD_EVENTS,
    CONTACT_REQUESTS,
    CONTACTS,
    CUSTOMER_EVENTS,
    CUSTOMER_STATE,
    CUSTOMERS,
    DEAD_LETTERS,
    DECISIONS,
    LABELS,
    TRANSACTIONS,
    Topic,
)
from pipeline.core.transaction import Transaction

TYPES: dict[Topic, type[msgspec.Struct] | UnionType] = {
    TRANSACTIONS: Transaction,
    DECISIONS: Decision,
    LABELS: Label,
    CARD_COMMANDS: CardCommand,
    CARD_COMMAND_RESULTS: CardCommandResult,
    CARD_EVENTS: CardEvent,
    CUSTOMERS: Customer,
    CUSTOMER_STATE: CustomerState,
    CUSTOMER_EVENTS: CustomerEvent,
    ACCOUNTS: AccountEvent,
    CONTACT_REQUESTS: ContactRequest,
    CONTACTS: ContactStep,
    ANSWERS: Answer,
    DEAD_LETTERS: DeadLetter,
}


def json_schema(topic: Topic) -> dict[str, Any]:
    """The schema (draft 2020-12) of ``topic``'s records; raises KeyError for a topic without a public record."""
    schema = msgspec.json.schema(TYPES[topic])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": topic.name, **schema}


def as_text(topic: Topic) -> str:
    """The schema as it stands in the documentation: indented, keys in order."""
    return msgspec.json.format(msgspec.json.encode(json_schema(topic), order="deterministic"), indent=2).decode() + "\n"
