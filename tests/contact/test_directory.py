"""What may enter the customers' directory: numbers to call, no card numbers."""

import msgspec
import pytest

from pipeline.adapters.memory import StoredRecord
from pipeline.roles.contact.digests import Digests
from pipeline.roles.contact.directory import NoCustomer, read_entry

PAN = "4111 1111 1111 1111"
DIGESTS = Digests(b"a digest key of the tests")


def record(**fields: object) -> StoredRecord:
    value = msgspec.json.encode({"customer": "C1", "phones": [{"number": "+12025550101"}], **fields})
    return StoredRecord(0, 0, 0, b"C1", value)


def test_a_sound_customer_is_kept_with_the_number_to_call() -> None:
    entry = read_entry(record(name="Ann", cards=[{"card": "tok_t_00000001", "last4": "1234"}]), DIGESTS)
    assert entry.cards == ["tok_t_00000001"]
    assert b"+12025550101" in (entry.record or b"")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": f"Ann {PAN}"},
        {"email": "4111111111111111@example.org"},
        {"cards": [{"card": "tok_t_00000001", "account": PAN}]},
        {"cards": [{"card": "4111-1111-1111-1111"}]},
        {"cards": [{"card": "tok_t_00000001", "last4": "4111111111111111"}]},
    ],
)
def test_a_card_number_anywhere_in_a_known_field_is_refused_without_repeating_it(fields: dict[str, object]) -> None:
    with pytest.raises(NoCustomer) as refused:
        read_entry(record(**fields), DIGESTS)
    assert "4111" not in refused.value.detail


def test_unknown_fields_are_not_kept() -> None:
    assert PAN.encode() not in (read_entry(record(note=PAN), DIGESTS).record or b"")
