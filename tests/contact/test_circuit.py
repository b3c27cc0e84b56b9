"""When a provider is left alone, when it is tried again, and how fast it is asked."""

import asyncio

import pytest
from channel_world import order, run
from contact_world import SetClock

from pipeline.core.token_bucket import TokenBucket
from pipeline.ports_channels import CallAbsent, CallAccepted, CallOrder, CallRefused, CallUnknown, MessageOrder
from pipeline.roles.contact.circuit import CIRCUIT_OPEN, RATE_LIMITED, Circuit, Guard, GuardedChannel, GuardedProvider

Outcome = CallAccepted | CallRefused | CallUnknown
GOOD = CallAccepted("m1")
GONE = CallRefused(permanent=True, reason="no_such_number")
BUSY = CallRefused(permanent=False, reason="http_429")
LOST = CallUnknown("TimeoutError")


class Carrier:
    """Both ports: says what it is told, one after the other, then GOOD."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0

    async def send(self, order: MessageOrder | CallOrder) -> Outcome:
        self.asked += 1
        outcome = self.outcomes.pop(0) if self.outcomes else GOOD
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    place = send

    async def find(self, key: str) -> CallAbsent:
        return CallAbsent()


def outcomes(channel: GuardedChannel, times: int) -> list[Outcome]:
    async def go() -> list[Outcome]:
        return [await channel.send(order()) for _ in range(times)]

    found: list[Outcome] = run(go())
    return found


@pytest.mark.parametrize("bad", [BUSY, LOST])
def test_failures_in_a_row_open_the_circuit_and_the_provider_is_left_alone(bad: Outcome) -> None:
    carrier = Carrier(*[bad] * 9)
    channel = GuardedChannel(carrier, Guard(SetClock(), Circuit(failures=3)))
    assert outcomes(channel, 5) == [bad, bad, bad, CIRCUIT_OPEN, CIRCUIT_OPEN]
    assert carrier.asked == 3
    assert channel.guard.state() == "open"


@pytest.mark.parametrize("good", [GOOD, GONE])
def test_a_success_and_a_refusal_for_good_begin_the_count_anew(good: Outcome) -> None:
    channel = GuardedChannel(Carrier(LOST, BUSY, good, LOST, BUSY, good), Guard(SetClock(), Circuit(failures=3)))
    assert CIRCUIT_OPEN not in outcomes(channel, 9)
    assert channel.guard.state() == "closed"


def test_one_trial_after_a_time_and_it_decides() -> None:
    clock = SetClock()
    carrier = Carrier(LOST, LOST, LOST)
    channel = GuardedChannel(carrier, Guard(clock, Circuit(failures=2, open_s=10.0)))
    outcomes(channel, 2)
    clock.pass_s(9.9)
    assert outcomes(channel, 1) == [CIRCUIT_OPEN]
    clock.pass_s(0.1)
    assert channel.guard.state() == "half_open"
    assert outcomes(channel, 2) == [LOST, CIRCUIT_OPEN]
    clock.pass_s(10.0)
    assert outcomes(channel, 3) == [GOOD, GOOD, GOOD]
    assert channel.guard.state() == "closed"


def test_only_one_is_on_trial_at_a_time_and_one_given_up_frees_the_place() -> None:
    circuit = Circuit(failures=1, open_s=10.0)
    first = circuit.enter(0.0)
    assert first is not None
    circuit.leave(first, True, 0.0)
    trial = circuit.enter(10.0)
    assert trial is not None
    assert circuit.enter(10.0) is None
    assert circuit.state(10.0) == "half_open"
    circuit.leave(trial, None, 11.0)
    assert circuit.enter(11.0) is not None


def test_what_began_before_the_circuit_opened_does_not_close_it() -> None:
    circuit = Circuit(failures=1, open_s=10.0)
    slow, quick = circuit.enter(0.0), circuit.enter(0.0)
    assert slow is not None
    assert quick is not None
    circuit.leave(quick, True, 1.0)
    circuit.leave(slow, False, 2.0)
    assert circuit.state(2.0) == "open"


def test_a_clock_set_back_does_not_keep_the_circuit_open() -> None:
    circuit = Circuit(failures=1, open_s=10.0)
    number = circuit.enter(1_000.0)
    assert number is not None
    circuit.leave(number, True, 1_000.0)
    assert circuit.enter(10.0) is not None


def test_an_error_counts_as_a_failure_and_a_call_given_up_as_nothing() -> None:
    clock = SetClock()
    guard = Guard(clock, Circuit(failures=1))
    channel = GuardedChannel(Carrier(RuntimeError("defect")), guard)

    async def given_up() -> Outcome:
        raise asyncio.CancelledError

    async def go() -> None:
        with pytest.raises(asyncio.CancelledError):
            await guard.call(given_up)
        assert guard.state() == "closed"
        with pytest.raises(RuntimeError):
            await channel.send(order())
        assert guard.state() == "open"

    run(go())


def test_calls_stand_behind_the_same_guard_and_asking_is_never_held_back() -> None:
    carrier = Carrier(LOST)
    provider = GuardedProvider(carrier, Guard(SetClock(), Circuit(failures=1)))
    call = CallOrder("k", "+8613800138042", "en", "", "", "", "", [], 1.0)

    async def go() -> list[object]:
        return [await provider.place(call), await provider.place(call), await provider.find("k")]

    assert run(go()) == [LOST, CIRCUIT_OPEN, CallAbsent()]


def test_messages_wait_their_turn_and_those_with_too_long_to_wait_are_refused() -> None:
    clock = SetClock()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(round(seconds, 6))

    guard = Guard(clock, rate_s=10.0, burst=2, longest_wait_s=0.25, sleep=sleep)
    carrier = Carrier()
    assert outcomes(GuardedChannel(carrier, guard), 5) == [GOOD, GOOD, GOOD, GOOD, RATE_LIMITED]
    assert waited == [0.1, 0.2]
    assert carrier.asked == 4
    assert guard.state() == "closed"


def test_a_refusal_for_the_rate_does_not_use_up_the_trial() -> None:
    clock = SetClock()
    guard = Guard(clock, Circuit(failures=1, open_s=1.0), rate_s=0.01, longest_wait_s=0.0)
    channel = GuardedChannel(Carrier(LOST), guard)
    assert outcomes(channel, 1) == [LOST]
    clock.pass_s(1.0)
    assert outcomes(channel, 2) == [RATE_LIMITED, RATE_LIMITED]
    clock.pass_s(100.0)
    assert outcomes(channel, 1) == [GOOD]


def test_a_bucket_never_holds_more_than_its_burst_and_a_clock_set_back_earns_nothing() -> None:
    bucket = TokenBucket(rate=10.0, burst=3)
    assert [bucket.reserve(100.0, 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, None]
    assert [bucket.reserve(1_000.0, 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, None]
    assert bucket.reserve(10.0, 0.0) is None
    assert bucket.reserve(10.1, 0.0) == 0.0


def test_all_of_several_tokens_are_taken_or_none() -> None:
    bucket = TokenBucket(rate=10.0, burst=2)
    assert bucket.reserve_all(100.0, 0.1, 3) == pytest.approx([0.0, 0.0, 0.1])
    assert bucket.reserve_all(100.0, 0.3, 3) is None
    assert bucket.reserve_all(100.0, 0.3, 2) == pytest.approx([0.2, 0.3])
    assert bucket.reserve_all(100.0, 0.0, 0) == []


def test_a_channel_that_keeps_its_rate_itself_does_not_open_the_circuit_by_it() -> None:
    guard = Guard(SetClock(), Circuit(failures=1))
    told: list[tuple[str, str]] = []
    channel = GuardedChannel(Carrier(RATE_LIMITED, GOOD), guard, lambda *words: told.append(words))
    assert outcomes(channel, 2) == [RATE_LIMITED, GOOD]
    assert told == [("webhook", "rate_limited")]


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.5)])
def test_a_bucket_that_would_never_give_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="bucket"):
        TokenBucket(rate, burst)
