"""App pushes against a mock written from the documentation of FCM's HTTP v1."""

import pytest
from channel_world import KEY, Api, order, sent, unreached
from contact_world import SetClock

from pipeline.adapters.channels.push import MAX_TTL_S, PushChannel, message_of, renewed_token
from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown

TAKEN = {"name": "projects/bank-app/messages/0:1500415314455276%31bd1c9631bd1c96"}
ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


def channel(url: str) -> PushChannel:
    return PushChannel("bank-app", renewed_token(lambda: "tok-1"), SetClock(1000.0), url)


def error(status: int, code: str) -> tuple[int, object]:
    """An error as the documentation shows it, with another detail before the one that counts."""
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest"}, {"@type": ERROR, "errorCode": code}]
    return status, {"error": {"code": status, "message": "…", "status": "NOT_FOUND", "details": details}}


def test_a_push_is_ordered_as_documented() -> None:
    api = Api([(200, TAKEN)])
    assert sent(api, channel, order(to="device-1", subject="Bank")) == [CallAccepted(TAKEN["name"])]
    (request,) = api.requests
    assert request.path == "/v1/projects/bank-app/messages:send"
    assert request.headers["authorization"] == "Bearer tok-1"
    message = request.json()["message"]
    assert message["token"] == "device-1"
    assert message["notification"] == {"title": "Bank", "body": order().text}
    assert message["data"] == {"key": KEY, "reference": "al_1,al_2", "language": "en"}
    assert message["android"]["ttl"] == "3600s"
    assert message["apns"]["headers"]["apns-expiration"] == "4600"


def marks(key: str) -> set[str]:
    message = message_of(order(key=key), 0.0)
    return {
        message["android"]["collapse_key"],
        message["android"]["notification"]["tag"],
        message["apns"]["headers"]["apns-collapse-id"],
        message["webpush"]["headers"]["Topic"],
    }


def test_the_same_key_bears_the_same_mark_and_another_key_another() -> None:
    (mark,) = marks(KEY)
    assert marks(KEY) == {mark} != marks("ct_1:2:2")
    assert len(mark) == 32
    assert KEY not in mark


def test_a_message_is_kept_four_weeks_at_most_and_never_less_than_nothing() -> None:
    assert message_of(order(expires_s=1e9), 0.0)["android"]["ttl"] == f"{MAX_TTL_S}s"
    assert message_of(order(expires_s=-1.0), 0.0)["android"]["ttl"] == "0s"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (error(404, "UNREGISTERED"), CallRefused(True, "unregistered")),
        (error(400, "INVALID_ARGUMENT"), CallRefused(True, "invalid_argument")),
        (error(403, "SENDER_ID_MISMATCH"), CallRefused(True, "sender_id_mismatch")),
        (error(429, "QUOTA_EXCEEDED"), CallRefused(False, "quota_exceeded")),
        (error(503, "UNAVAILABLE"), CallUnknown("http_503")),
        (error(500, "INTERNAL"), CallUnknown("http_500")),
        ((502, "<!DOCTYPE html>"), CallUnknown("http_502")),
        ((403, "<!DOCTYPE html>"), CallRefused(False, "http_403")),
        ((200, "ok"), CallUnknown("unreadable")),
        ((200, {}), CallUnknown("unreadable")),
        (None, CallUnknown("ServerDisconnectedError")),
    ],
)
def test_what_an_answer_means(answer: tuple[int, object] | None, outcome: object) -> None:
    assert sent(Api([answer]), channel) == [outcome]


def test_a_refused_token_is_replaced_once() -> None:
    asked: list[str | None] = []

    async def tokens(refused: str | None) -> str:
        asked.append(refused)
        return "old" if refused is None else "new"

    api = Api([(401, {}), (200, TAKEN)])
    outcomes = sent(api, lambda url: PushChannel("bank-app", tokens, SetClock(0.0), url))
    assert outcomes == [CallAccepted(TAKEN["name"])]
    assert asked == [None, "old"]
    assert [request.headers["authorization"] for request in api.requests] == ["Bearer old", "Bearer new"]


def test_without_a_good_token_nothing_is_sent_and_the_next_channel_may_try() -> None:
    api = Api([(401, {})])
    assert sent(api, channel) == [CallRefused(False, "no_token")]
    assert len(api.requests) == 1


def test_a_connection_never_made_is_a_refusal() -> None:
    assert unreached(channel) == CallRefused(False, "not_reached")
