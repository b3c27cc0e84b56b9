"""Whatever comes, in whatever order and however often: the same facts, the same figures."""

from account_world import NAME, TERMS, Said, event, heard, moment, ms
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.core import account_folding
from pipeline.core.account import Account, after, decode, encode
from pipeline.core.account_folding import REMEMBERED_DAYS
from pipeline.core.arrears import DAY_MS, NEVER_MS, booked, out, settle, standing

START_MS = ms("2026-01-01T00:00")
DAYS = st.integers(0, 119)
AMOUNTS = st.integers(0, 40) | st.integers(0, 4_000)
NAMES = st.integers(0, 5)


@st.composite
def lives(draw: st.DrawFn, product: str, last_day: int = 119) -> list[Said]:
    """What is said of an account in so many days, in the order of the log; several versions of one id among it."""
    records: list[Said] = []
    kinds = ("bill", "bill", "paid", "paid", "pending", "back", "dispute", "promise", "failed", "balance", "closed")
    for number in range(draw(st.integers(1, 14))):
        day = draw(st.integers(0, last_day))
        said_ms = START_MS + day * DAY_MS + draw(st.integers(0, 23)) * 3_600_000 + number
        time = moment(said_ms - draw(st.integers(0, 3)) * 40_000_000)
        name, amount = draw(NAMES), draw(AMOUNTS)
        match draw(st.sampled_from(kinds)):
            case "bill":
                records.append((_bill(draw, product, name, said_ms, amount), said_ms))
            case "paid" | "pending" as kind:
                type_ = "repayment" if kind == "paid" else "repayment_pending"
                records.append((event(type_, id=f"P{name}", time=time, amount=amount + 1), said_ms))
            case "back":
                records.append((event("repayment_reversed", original_id=f"P{name}", time=time), said_ms))
            case "dispute":
                about = {"statement": f"S{name}"} if draw(st.booleans()) else {}
                records.append(
                    (event("dispute", id=f"D{name}", amount=amount, open=draw(st.booleans()), **about), said_ms)
                )
            case "promise":
                by = moment(said_ms + draw(st.integers(0, 9)) * DAY_MS)[:10]
                records.append((event("promise", amount=amount + 1, by=by, time=time), said_ms))
            case "failed":
                records.append((event("autopay_failed", time=time), said_ms))
            case "balance":
                records.append((event("balance_changed", balance=amount * 10 - 50, time=time), said_ms))
            case "closed":
                records.append((event("closed", time=time), said_ms))
    return sorted(records, key=lambda each: each[1])


def _bill(draw: st.DrawFn, product: str, name: int, said_ms: int, amount: int) -> object:
    dates = {"due_date": moment(said_ms + 20 * DAY_MS)[:10], "customer": "C1", "currency": "CNY"}
    stated = moment(said_ms - draw(st.integers(0, 2)) * DAY_MS)[:10]
    autopay = draw(st.booleans())
    if product == "loan":
        balance = draw(st.none() | st.integers(0, 20).map(lambda times: amount * times))
        return event("instalment_due", id=f"S{name}", amount=amount, balance=balance, autopay=autopay, **dates)
    return event(
        "statement",
        id=f"S{name}",
        product=product,
        statement_date=stated,
        minimum_due=amount,
        past_due=min(amount, draw(AMOUNTS)),
        balance=amount * draw(st.integers(1, 10)),
        autopay=autopay,
        card=draw(st.sampled_from(["tok_a_00112233", "tok_a_99999999"])),
        **dates,
    )


ANY_LIFE = st.sampled_from(["card", "loan"]).flatmap(lives)
SHORT_LIFE = st.sampled_from(["card", "loan"]).flatmap(lambda product: lives(product, REMEMBERED_DAYS - 25))
TOLERANCES = st.sampled_from([0, 10, 1_000])


def _grown(records: list[Said], tolerance: int = 10) -> Account:
    return heard(records, Account(id=NAME, partition=3, terms=replace(TERMS, tolerance=tolerance)))


@settings(max_examples=50, deadline=None)
@given(SHORT_LIFE, st.randoms(use_true_random=False), TOLERANCES, DAYS)
def test_order_and_repetition_change_nothing(records: list[Said], chance: object, tolerance: int, day: int) -> None:
    mixed = [*records, *chance.sample(records, len(records) // 2)]  # type: ignore[attr-defined]
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    now_ms = START_MS + day * DAY_MS
    straight, crooked = _grown(records, tolerance), _grown(mixed, tolerance)
    assert standing(straight, now_ms) == standing(crooked, now_ms)
    assert replace(straight, seen_ms=0) == replace(crooked, seen_ms=0)


@settings(max_examples=40, deadline=None)
@given(ANY_LIFE, TOLERANCES, DAYS)
def test_the_sums_hold(records: list[Said], tolerance: int, day: int) -> None:
    account, now_ms = _grown(records, tolerance), START_MS + day * DAY_MS
    now = standing(account, now_ms)
    assert 0 <= now.owed <= now.balance
    assert (now.owed > 0) == (now.stage != "none")
    assert now.bill is not None or not now.owed
    bills = out(account, now_ms)
    left, over = settle(account, bills, NEVER_MS)
    asked = [bill.minimum + (0 if n else bill.past_due) - bill.paid for n, bill in enumerate(bills)]
    assert all(0 <= rest <= max(full, 0) for rest, full in zip(left, asked, strict=True))
    paid = sum(each.amount for each in account.payments if booked(account, each)) + account.credit
    if account.product == "loan" and not account.balance_ms and not account.cleared_ms:
        assert sum(max(full, 0) for full in asked) - sum(left) == paid - over, "what was paid is in a bill or left over"


@settings(max_examples=40, deadline=None)
@given(ANY_LIFE)
def test_what_is_written_is_read_again(records: list[Said]) -> None:
    account = _grown(records)
    assert decode(encode(account)) == account


@settings(max_examples=120, deadline=None)
@given(ANY_LIFE, TOLERANCES, st.integers(0, 80), st.integers(0, 100), st.integers(1, 60))
def test_folding_changes_no_figure(records: list[Said], tolerance: int, floor: int, later: int, amount: int) -> None:
    account = Account(id=NAME, partition=3, terms=replace(TERMS, tolerance=tolerance))
    for record, said_ms in records:
        account = after(account, record, said_ms, 3)
    floor_ms = min(START_MS + floor * DAY_MS, account.seen_ms - 6 * DAY_MS)  # pending ones are believed for five
    if account.promise is not None:
        floor_ms = min(floor_ms, account.promise.made_ms - 1)
    small = account_folding._folded(account, floor_ms)
    now_ms = account.seen_ms + later * DAY_MS
    assert standing(small, now_ms) == standing(account, now_ms)
    more = event("repayment", id="PX", time=moment(account.seen_ms + 1_000), amount=amount)
    assert standing(after(small, more, account.seen_ms + 2_000, 3), now_ms) == standing(
        after(account, more, account.seen_ms + 2_000, 3), now_ms
    )
