"""Looks at a year from outside, as a customer's lawyer would: what was published, what providers did, what people said.

Each rule is a function from the case file to the violations it finds. Nothing of the contact role's code is used.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from simulated_year.case_file import DAY_MS, CaseFile, Violation, made_ms
from simulated_year.evidence import Evidence, Handled, Said, Told
from simulated_year.rules import Rules, counted

PROVEN = ("app", "agent")
ENDS = ("completed", "expired", "cancelled")


def asked_twice(file: CaseFile) -> Iterator[Violation]:
    """An attempt reaches its provider once; what was answered is not asked again by machine."""
    taken: set[tuple[str, int]] = set()
    for one in file.questions:
        if (one.contact, one.number) in taken:
            words = f"attempt {one.number} was taken by its provider before"
            yield file.violation("asked twice", one.contact, one.at_ms, words)
        taken.add((one.contact, one.number))
        for said in file.said[one.contact]:
            heard_ms = file.heard_ms(said)
            answered = said.word in ("yes", "no") and heard_ms is not None and heard_ms < one.at_ms
            if answered and set(said.covers) & set(one.covers) and not file.unclear(said):
                words = f"{said.covers} was answered {said.word} before attempt {one.number}"
                yield file.violation("asked twice", one.contact, one.at_ms, words)


def two_questions(file: CaseFile) -> Iterator[Violation]:
    """A card's customer has one open question: while a call is going on, or a text's answer is awaited, no other."""
    open_now: dict[str, tuple[int, Handled]] = {}
    for one in file.questions:
        if one.contact in file.notices:
            continue
        card = file.card(one.contact)
        until_ms, before = open_now.get(card, (0, one))
        if one.at_ms < until_ms:
            words = f"attempt {one.number} while {before.channel} attempt {before.number} of {before.contact} is open"
            yield file.violation("two questions", one.contact, one.at_ms, words)
        open_now[card] = (_until_ms(file, one), one)


def _until_ms(file: CaseFile, one: Handled) -> int:
    """When a question was over: answered in whatever way, the call ended, the time for a text's answer ended."""
    answered = [heard for said in file.said[one.contact] if (heard := file.heard_ms(said)) is not None]
    answered += file.crossed_ms(one)
    ends = [at_ms for at_ms in answered if at_ms >= one.at_ms]
    over = ("failed",) if one.channel == "voice" else ("failed", "undelivered", "lost")  # lost: nobody can say
    ends += [
        made_ms(told)
        for told in file.steps[one.contact]
        if told.value.get("attempt") == one.number and told.value["step"] == "failed" and told.value["reason"] in over
    ]  # fmt: skip
    if one.channel == "voice":
        ends.append(file.evidence.rung_until.get((one.contact, one.number), one.at_ms))
    else:
        ends.append(one.at_ms + round(file.rules.answer_s * 1000))
    return min(ends)


def outside_hours(file: CaseFile) -> Iterator[Violation]:
    for one in file.questions:
        record = file.record(file.customer(one.contact), one.at_ms)
        if not file.rules.open(one.channel, file.rules.zones_of(record), record["consent"], one.at_ms):
            words = f"{one.channel} in {file.rules.zones_of(record)}"
            yield file.violation("outside hours", one.contact, one.at_ms, words)


def too_many(file: CaseFile) -> Iterator[Violation]:
    """Caps, in the customer's calendar days."""
    for cap in file.rules.caps:
        groups: dict[tuple[str, ...], list[Handled]] = defaultdict(list)
        for one in file.questions:
            if one.channel in cap.channels:
                whose = file.customer(one.contact) if cap.of == "customer" else one.to
                groups[(whose, one.contact) if cap.per_event else (whose,)].append(one)
        for group in groups.values():
            moments = [one.at_ms for one in group]
            for one in group if len(group) > cap.limit else ():
                zones = file.rules.zones_of(file.record(file.customer(one.contact), one.at_ms))
                if any(counted(cap, moments, zone, one.at_ms) > cap.limit for zone in zones):
                    yield file.violation("too many", one.contact, one.at_ms, f"more than {cap}")


def never_ended(file: CaseFile) -> Iterator[Violation]:
    """Every alert is taken into a conversation, and that ends, with a reason."""
    for raised in file.alerts.values():
        contact = file.contact_of.get(raised.id)
        if contact is None:
            yield Violation("never ended", raised.customer, raised.at_ms, f"{raised.id}: no conversation took it in")
            continue
        ended = [told for told in file.steps[contact] if told.value["step"] in ENDS and told.at_ms >= raised.at_ms]
        if not ended:
            yield file.violation("never ended", contact, raised.at_ms, f"{raised.id} has come to no end")
        for told in ended:
            if not told.value.get("reason"):
                yield file.violation("never ended", contact, told.at_ms, f"{raised.id} ended without a reason")


def hold_left(file: CaseFile) -> Iterator[Violation]:
    """The last command of a card leaves it usable or blocked, or people were told of it, with a reason."""
    for card, commands in file.commands.items():
        last = max(commands, key=lambda told: told.value["sequence"])
        if last.value["command"] not in ("hold", "limit"):
            continue
        contact = file.contact_of.get(last.value["alert"], "")
        handed = [
            told for told in file.steps.get(contact, ()) if told.value["step"] in ("escalated", "expired")
            and told.value.get("reason") and told.at_ms >= last.at_ms
        ]  # fmt: skip
        if not handed:
            customer = file.alerts[last.value["alert"]].customer
            yield Violation("hold left", customer, last.at_ms, f"{card} is held, and in nobody's hands")


def out_of_order(file: CaseFile) -> Iterator[Violation]:
    """A card's commands have numbers of their own, in the order of what caused them: so the switch, which takes no lower
    number after a higher one, ends where the conversation did."""
    for card, commands in file.commands.items():
        customer = file.alerts[commands[0].value["alert"]].customer
        ordered = sorted(commands, key=lambda told: told.value["sequence"])
        causes = [_cause(file, told) for told in ordered]
        for number, told in enumerate(ordered[1:], 1):
            before = ordered[number - 1]
            if told.value["sequence"] == before.value["sequence"]:
                yield Violation("out of order", customer, told.at_ms, f"{card}: a number was given twice")
            elif causes[number] < causes[number - 1]:
                words = f"{card}: {told.value['command']} is numbered after a {before.value['command']} of later cause"
                yield Violation("out of order", customer, told.at_ms, words)


def _cause(file: CaseFile, told: Told) -> str:
    """The moment, as records write it, of the alert or the answer that a command follows."""
    value = told.value
    steps = [step.value for step in file.steps[value["id"].partition(":")[0]]]
    word = {"release": "yes", "block": "no"}.get(value["command"], "no" if value["reason"] == "no_after_yes" else "")
    if value["reason"] == "silence":
        return max(step["time"] for step in steps if step["step"] == "completed")
    if not word:
        moments = [
            step["time"] for step in steps if step["step"] == "planned" and step["subject"]["alert"] == value["alert"]
        ]
        return min(moments)
    moments = [step["time"] for step in steps if step.get("answer") == word and step["step"] == "answered"]
    before = [moment for moment in moments if datetime.fromisoformat(moment).timestamp() * 1000 <= told.at_ms + 1]
    return max(before, default="")


def not_respected(file: CaseFile) -> Iterator[Violation]:
    """After a STOP no more questions; none to a number that is a stranger's; none to those who are protected."""
    stopped: dict[str, int] = {}
    strangers: dict[tuple[str, str], int] = {}
    for contact, words in file.said.items():
        for said in words:
            heard_ms = file.heard_ms(said)
            if heard_ms is None or said.word not in ("stop", "wrong_person"):
                continue
            customer = file.customer(contact)
            if said.word == "stop":
                stopped[customer] = min(heard_ms, stopped.get(customer, heard_ms))
            else:
                key = (customer, said.number)
                strangers[key] = min(heard_ms, strangers.get(key, heard_ms))
    for one in file.questions:
        customer = file.customer(one.contact)
        protected = file.rules.protections & set(file.record(customer, one.at_ms)["protections"])
        if stopped.get(customer, one.at_ms) < one.at_ms:
            yield file.violation("not respected", one.contact, one.at_ms, "asked after a STOP")
        if strangers.get((customer, one.to), one.at_ms) < one.at_ms:
            yield file.violation("not respected", one.contact, one.at_ms, "asked at a stranger's number")
        if protected:
            yield file.violation("not respected", one.contact, one.at_ms, f"asked although {sorted(protected)}")


def false_release(file: CaseFile) -> Iterator[Violation]:
    """A card is released when every alert of the conversation has a YES from somebody who may give it, and no NO since."""
    for commands in file.commands.values():
        for told in commands:
            if told.value["command"] != "release":
                continue
            contact = told.value["id"].partition(":")[0]
            if told.value.get("reason") == "silence" and file.rules.silence_releases:
                continue
            for words in _unproven(file, contact, told.at_ms, _cause(file, told)):
                yield file.violation("false release", contact, told.at_ms, words)


def _unproven(file: CaseFile, contact: str, at_ms: int, decided: str) -> Iterator[str]:
    """``decided``: when the release was, as records write it; published it may be later, after other alerts."""
    said = [one for one in file.said[contact] if one.given_ms <= at_ms]
    noes = [one for one in said if one.word == "no" and (file.heard_ms(one) or at_ms) < at_ms]
    good = [one for one in said if one.word == "yes" and _may_release(file, contact, one)]
    for no in noes:
        if not any(one.given_ms >= no.given_ms and one.assurance in PROVEN for one in good):
            yield f"a NO by {no.channel} came before"
    joined = [told.value["subject"]["alert"] for told in file.steps[contact] if told.value["time"] < decided]
    for alert in dict.fromkeys(name for name in joined if file.contact_of.get(name) == contact):
        if not any(alert in one.covers for one in good):
            yield f"nobody who may has said yes to {alert}"


def _may_release(file: CaseFile, contact: str, yes: Said) -> bool:
    if yes.assurance in PROVEN:
        return True
    record = file.record(file.customer(contact), yes.given_ms)
    phone = next((phone for phone in record["phones"] if phone["number"] == yes.number), None)
    if phone is None:
        return False
    since = phone.get("since")
    age_ms = yes.given_ms - datetime.fromisoformat(since).timestamp() * 1000 if since else float("inf")
    return bool(age_ms >= file.rules.fresh_days * DAY_MS)


Rule = Callable[[CaseFile], Iterator[Violation]]
RULES: Sequence[Rule] = (
    asked_twice, two_questions, outside_hours, too_many, never_ended, hold_left, out_of_order, not_respected,
    false_release,
)  # fmt: skip


def judged(evidence: Evidence, rules: Rules) -> list[Violation]:
    """Every violation, in the order of time."""
    file = CaseFile(evidence, rules)
    return sorted((found for rule in RULES for found in rule(file)), key=lambda violation: violation.at_ms)
