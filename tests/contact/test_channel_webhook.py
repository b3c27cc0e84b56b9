"""Messages to a bank's own platform: signed, repeatable, and what each answer means."""

import pytest
from channel_world import KEY, NUMBER, Api, order, sent, unreached
from contact_world import SetClock

from pipeline.adapters.channels.posting import MAX_ANSWER_BYTES
from pipeline.adapters.channels.webhook import WebhookChannel
from pipeline.core.webhook import verify
from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown

SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_614_265_330.5


def channel(url: str) -> WebhookChannel:
    return WebhookChannel(f"{url}/messages", SECRET, SetClock(NOW), timeout_s=5)


def test_the_message_is_signed_and_carries_its_key() -> None:
    api = Api()
    assert sent(api, channel) == [CallAccepted(KEY)]
    (request,) = api.requests
    assert verify(SECRET, request.headers, request.body, NOW) == KEY
    assert request.headers["idempotency-key"] == KEY
    assert request.json() == {
        "type": "contact.message",
        "timestamp": "2021-02-25T15:02:10.500+00:00",
        "data": {
            "key": KEY,
            "channel": "webhook",
            "to": NUMBER,
            "language": "en",
            "text": order().text,
            "subject": None,
            "reference": ["al_1", "al_2"],
            "expires_s": 3600.0,
            "sender": "",
        },
    }


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((200, {"id": "m-77"}), CallAccepted("m-77")),
        ((202, "no JSON"), CallAccepted(KEY)),
        ((409, {"id": "m-77"}), CallAccepted("m-77")),
        ((410, {}), CallRefused(True, "http_410")),
        ((422, {}), CallRefused(True, "http_422")),
        ((401, {}), CallRefused(False, "http_401")),
        ((429, {}), CallRefused(False, "http_429")),
        ((307, "moved"), CallRefused(False, "http_307")),
        ((500, {}), CallUnknown("http_500")),
        ((200, "x" * (MAX_ANSWER_BYTES + 1)), CallUnknown("answer_too_long")),
        (None, CallUnknown("ServerDisconnectedError")),
    ],
)
def test_what_an_answer_means(answer: tuple[int, object] | None, outcome: object) -> None:
    api = Api([answer])
    assert sent(api, channel) == [outcome]
    assert len(api.requests) == 1


def test_a_connection_never_made_is_a_refusal() -> None:
    assert unreached(channel) == CallRefused(False, "not_reached")
