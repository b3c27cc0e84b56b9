"""Events posted to the bank's own system: signed, repeatable, in order, and what each answer means."""

import asyncio
from collections.abc import Sequence

import pytest
from contact.channel_world import Api, free_port, serving
from crm_world import NOW, Read, SetClock, run, state, step, told_of, using

from pipeline.adapters.crm.webhook import IN_FLIGHT, WebhookSystem
from pipeline.core.crm_event import CrmEvent, read_state
from pipeline.core.crm_mapping import STEPS
from pipeline.core.crm_outcome import NOT_TRIED, NOT_WANTED, TAKEN, Told
from pipeline.core.webhook import verify

SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def told(api: Api, events: Sequence[CrmEvent], steps: frozenset[str] = STEPS) -> Sequence[Told]:
    async def go() -> Sequence[Told]:
        async with serving(api):
            system = WebhookSystem(f"{api.url}/events", SECRET, steps, SetClock(), timeout_s=5)
            answer: Sequence[Told] = await using(system, lambda: system.tell(events))
            return answer

    found: Sequence[Told] = run(go())
    return found


def test_an_event_is_signed_and_carries_its_id() -> None:
    api = Api()
    (event,) = told_of(step("answered", answer="complaint"))
    assert told(api, [event]) == [TAKEN]
    (request,) = api.requests
    assert verify(SECRET, request.headers, request.body, NOW) == event.id
    assert request.json() == {
        "type": "contact.complaint",
        "timestamp": "2026-11-23T15:40:19.500Z",
        "data": {
            "contact": "ct_0a1b2c3d4e5f60718293a4b5",
            "subject": {"alert": "tx-77"},
            "customer": "cu1",
            "class": "fraud",
            "step": "answered",
            "time": "2026-11-23T15:40:19.500Z",
            "channel": "voice",
            "attempt": 2,
            "answer": "complaint",
        },
    }


def test_tags_are_told_without_the_risk() -> None:
    api = Api()
    assert told(api, told_of(state(tags=["dormant"]))) == [TAKEN]
    assert api.requests[0].json()["type"] == "customer.tags"
    assert api.requests[0].json()["data"] == {"customer": "cu1", "tags": ["dormant"], "as_of": "2026-11-23T00:00:00Z"}


def test_that_a_customer_is_erased_is_posted() -> None:
    api = Api()
    assert told(api, [read_state(Read(None, b"cu1", timestamp=0))]) == [TAKEN]
    data = {"customer": "cu1", "as_of": "1970-01-01T00:00:00.000Z"}
    assert api.requests[0].json() == {"type": "customer.erased", "timestamp": data["as_of"], "data": data}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((204, ""), TAKEN),
        ((409, {}), TAKEN),
        ((410, {}), Told("rejected", "http_410")),
        ((422, {}), Told("rejected", "http_422")),
        ((400, {}), Told("rejected", "http_400")),
        ((401, {}), Told("later", "http_401")),
        ((404, {}), Told("later", "http_404")),
        ((429, {}), Told("later", "http_429")),
        ((302, "moved"), Told("later", "http_302")),
        ((503, {}), Told("later", "http_503")),
        (None, Told("later", "ServerDisconnectedError")),
    ],
)
def test_what_an_answer_means(answer: tuple[int, object] | None, outcome: Told) -> None:
    assert told(Api([answer]), told_of(step())) == [outcome]


def test_a_customer_s_events_wait_behind_the_one_that_was_put_off_and_others_do_not() -> None:
    events = told_of(step("planned"), step("sending"), step("planned", customer="cu2", contact="ct_2"))

    class Choosy(Api):
        """Answers 503 to the first customer."""

        async def take(self, request):  # type: ignore[no-untyped-def]  # as aiohttp calls it
            body = await request.json()
            self.answers = [(503 if body["data"]["customer"] == "cu1" else 200, {})]
            return await super().take(request)

    assert told(Choosy(), events) == [Told("later", "http_503"), NOT_TRIED, TAKEN]


def test_events_of_one_customer_arrive_in_their_order() -> None:
    api = Api()
    events = told_of(*(step("planned", attempt=number) for number in range(1, 20)))
    assert set(told(api, events)) == {TAKEN}
    assert [request.headers["webhook-id"] for request in api.requests] == [event.id for event in events]


def test_a_system_that_is_away_is_not_asked_for_every_customer() -> None:
    async def go() -> Sequence[Told]:
        system = WebhookSystem(f"http://127.0.0.1:{free_port()}/", SECRET, STEPS, SetClock(), timeout_s=5)
        events = told_of(*(step(customer=f"cu{number}") for number in range(100)))
        answer: Sequence[Told] = await using(system, lambda: system.tell(events))
        return answer

    outcomes = run(go())
    assert {outcome.result for outcome in outcomes} == {"later"}
    assert outcomes.count(NOT_TRIED) >= 100 - 2 * IN_FLIGHT


def test_steps_that_are_not_wanted_are_not_posted() -> None:
    api = Api()
    events = told_of(step("sending"), step("completed"), state())
    assert told(api, events, frozenset({"completed"})) == [NOT_WANTED, TAKEN, TAKEN]
    assert len(api.requests) == 2


def test_no_more_customers_are_told_at_once_than_agreed() -> None:
    class Counting(Api):
        """Counts requests that are answered at the same time."""

        now = most = 0

        async def take(self, request):  # type: ignore[no-untyped-def]  # as aiohttp calls it
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            answer = await super().take(request)
            self.now -= 1
            return answer

    api = Counting()
    told(api, told_of(*(step(customer=f"cu{number}") for number in range(50))))
    assert 1 <= api.most <= IN_FLIGHT
    assert len(api.requests) == 50
