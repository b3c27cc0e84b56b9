"""What goes into which field, as the mapping says; and a mapping with a mistake names it."""

import pytest
from crm_world import CONTACT, shipped, state, step, told_of

from pipeline.core.crm_mapping import MappingError, parse_mapping
from pipeline.core.crm_outcome import NOT_TRIED, NOT_WANTED, TAKEN, Told, told_by
from pipeline.core.crm_rows import Row, Tags, rows_of

RULE = """
[[zoho]]
about = "contact"
module = "Cardwatch_Contacts"
key = "Id"
[zoho.fields]
Id = "{contact}"
Step = "{step}"
Said = "{answer_words}"
Number = "{attempt}"
"""


def test_a_step_becomes_a_row_of_the_contact() -> None:
    mapping = shipped()
    (row,) = rows_of(mapping.zoho, told_of(step("answered", answer="no")))
    assert (row.module, row.key) == ("Cardwatch_Contacts", "Cardwatch_Id")
    assert row.fields == {
        "Cardwatch_Id": CONTACT,
        "Name": CONTACT,
        "Cardwatch_Customer": "cu1",
        "Class": "fraud",
        "Subject": "alert tx-77",
        "Last_Step": "answered",
        "Last_Step_At": "2026-11-23T15:40:19+00:00",
        "Channel": "telephone",
        "Attempts": 2,
        "Answer": "no, not them",
    }
    (chinese,) = rows_of(mapping.fxiaoke, told_of(step("answered", answer="no")))
    assert chinese.fields["last_step__c"] == "已答复"
    assert chinese.fields["last_step_at__c"] == 1_795_448_419_500


def test_a_complaint_makes_a_case_besides() -> None:
    rows = rows_of(shipped().zoho, told_of(step("answered", answer="complaint")))
    assert [row.module for row in rows] == ["Cardwatch_Contacts", "Cases"]
    assert rows[1].fields["Subject"] == f"Complaint about contact {CONTACT}"


def test_the_steps_of_one_contact_make_one_row_whose_last_word_counts() -> None:
    events = told_of(
        step("answered", answer="later"), step("planned", contact="ct_2"), step("completed", channel=None, attempt=None)
    )
    first, second = rows_of(shipped().zoho, events)
    assert first.events == (0, 2)
    assert first.fields["Last_Step"] == "closed"
    assert first.fields["Answer"] == "asks to be called later", "what a later step says nothing of is left"
    assert second.events == (1,)


def test_what_is_not_known_is_left_out_and_not_erased() -> None:
    (row,) = rows_of(shipped().zoho, told_of(step("planned", channel=None, attempt=None, customer=None)))
    assert {"Channel", "Attempts", "Answer", "Reason", "Cardwatch_Customer"}.isdisjoint(row.fields)


def test_tags_that_are_ours_and_no_longer_true_are_taken_away() -> None:
    text = RULE.replace('about = "contact"', 'about = "customer"\nknown_tags = ["dormant", "travelling"]')
    text = text.split("Step =")[0].replace("{contact}", "{customer}")
    (row,) = rows_of(parse_mapping(text, "crm.toml").zoho, told_of(state(tags=["travelling", "vip"])))
    assert row.tags == Tags(add=("travelling", "vip"), remove=("dormant",))
    assert row.fields == {"Id": "cu1"}


def test_the_product_s_mapping_tells_everything_to_everybody() -> None:
    mapping = shipped()
    assert "escalated" in mapping.webhook
    assert (
        {rule.source for rule in mapping.zoho} == {rule.source for rule in mapping.fxiaoke} == {"contact", "customer"}
    )
    assert rows_of(mapping.fxiaoke, told_of(state(tags=["a", "b"])))[0].fields["tags__c"] == "a, b"


@pytest.mark.parametrize(
    ("wrong", "right", "line", "word"),
    [
        ('about = "contact"', 'about = "weather"', 3, "about"),
        ('module = "Cardwatch_Contacts"', 'module = "a b"', 4, "module"),
        ('key = "Id"', 'key = "Nothing"', 5, "key"),
        ('Id = "{contact}"', 'Id = "always the same"', 5, "key"),
        ('Step = "{step}"', 'Step = "{phone}"', 2, "{phone}"),
        ('key = "Id"', 'key = "Id"\nsteps = ["sung"]', 6, "'sung'"),
        ('key = "Id"', 'key = "Id"\nanswers = ["perhaps"]', 6, "'perhaps'"),
        ('key = "Id"', 'key = "Id"\nlanguage = "fr"', 6, "language"),
        ('key = "Id"', 'key = "Id"\nknown_tags = ["a"]', 6, "known_tags"),
        ('key = "Id"', 'key = "Id"\ncolour = "red"', 6, "'colour'"),
        ("[[zoho]]", "[[zohoo]]", 1, "'zohoo'"),
        ("[[zoho]]", '[webhook]\nsteps = ["sung"]\n[[zoho]]', 3, "'sung'"),
        ('key = "Id"', "key = ", 5, "TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(wrong: str, right: str, line: int, word: str) -> None:
    text = RULE.replace(wrong, right).replace("zoho.", "zohoo.") if "zohoo" in right else RULE.replace(wrong, right)
    with pytest.raises(MappingError) as refused:
        parse_mapping(text, "crm.toml")
    assert str(refused.value).startswith(f"crm.toml:{line}: ")
    assert word in str(refused.value)


def test_an_empty_mapping_tells_the_webhook_all_and_the_others_nothing() -> None:
    mapping = parse_mapping("", "crm.toml")
    assert "planned" in mapping.webhook
    assert (mapping.zoho, mapping.fxiaoke, mapping.overdue) == ((), (), frozenset())


@pytest.mark.parametrize(
    ("fates", "told"),
    [
        ({0: TAKEN, 1: TAKEN}, [TAKEN, TAKEN, NOT_WANTED]),
        ({0: TAKEN, 1: Told("rejected", "x")}, [TAKEN, Told("rejected", "x"), NOT_WANTED]),
        ({0: Told("later", "y"), 1: Told("rejected", "x")}, [Told("later", "y")] * 2 + [NOT_WANTED]),
        ({0: TAKEN}, [TAKEN, NOT_TRIED, NOT_WANTED]),
    ],
)
def test_an_event_fares_as_the_worst_of_its_rows(fates: dict[int, Told], told: list[Told]) -> None:
    rows = [Row("A", "k", {"k": "1"}, (0, 1)), Row("B", "k", {"k": "1"}, (1,))]
    assert told_by(rows, fates, 3) == told
