"""WeChat messages against a mock written from the documentation of the official account's interfaces."""

from collections.abc import Callable
from typing import Any

import pytest
from channel_world import KEY, Api, order, sent, unreached
from contact_world import SetClock

from pipeline.adapters.channels.wechat import Kind, WeChatChannel
from pipeline.ports_channels import CallAccepted, CallRefused, CallUnknown

SENT = (200, {"errcode": 0, "errmsg": "ok", "msgid": 200228332})


def token(value: str, seconds: int = 7200) -> tuple[int, object]:
    return 200, {"access_token": value, "expires_in": seconds}


def failing(code: int) -> tuple[int, object]:
    return 200, {"errcode": code, "errmsg": "…"}


def channel(kind: Kind = "template", clock: SetClock | None = None) -> Callable[[str], WeChatChannel]:
    fields = {"thing1": "{subject}", "thing2": "{text}"}
    return lambda url: WeChatChannel("wx1", "s3cret", "tpl-1", fields, clock or SetClock(1000.0), kind, url)


def tokens(api: Api) -> list[tuple[str, Any]]:
    """What was asked of WeChat: the force of a renewal, or the token that a message was sent with."""
    return [
        ("ask", one.json()["force_refresh"])
        if one.path.endswith("stable_token")
        else ("send", one.query["access_token"])
        for one in api.requests
    ]


def test_a_template_message_is_ordered_as_documented() -> None:
    api = Api([token("t1"), SENT])
    assert sent(api, channel(), order(to="openid-1", subject="交易核实", text="尾号4242")) == [
        CallAccepted("200228332")
    ]
    ask, message = api.requests
    assert ask.path == "/cgi-bin/stable_token"
    assert ask.json() == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": "s3cret",
        "force_refresh": False,
    }
    assert message.path == "/cgi-bin/message/template/send"
    body = message.json()
    assert len(body.pop("client_msg_id")) == 32
    assert body == {
        "touser": "openid-1",
        "template_id": "tpl-1",
        "data": {"thing1": {"value": "交易核实"}, "thing2": {"value": "尾号4242"}},
    }


def test_the_same_key_bears_the_same_mark() -> None:
    api = Api([token("t1"), SENT])
    sent(api, channel(), order(), order(), order(key="ct_1:2:2"))
    first, second, third = [one.json()["client_msg_id"] for one in api.requests[1:]]
    assert first == second != third


def test_a_subscription_notice_goes_its_own_way_and_is_named_by_its_key() -> None:
    api = Api([token("t1"), failing(0)])
    assert sent(api, channel("subscription")) == [CallAccepted(KEY)]
    assert api.requests[1].path == "/cgi-bin/message/subscribe/bizsend"
    assert "client_msg_id" not in api.requests[1].json()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (failing(43004), CallRefused(True, "errcode_43004")),
        (failing(43101), CallRefused(True, "errcode_43101")),
        (failing(40003), CallRefused(True, "errcode_40003")),
        (failing(47003), CallRefused(True, "errcode_47003")),
        (failing(45009), CallRefused(False, "errcode_45009")),
        (failing(48001), CallRefused(False, "errcode_48001")),
        (failing(-1), CallUnknown("errcode_-1")),
        ((200, "<html>"), CallUnknown("unreadable")),
        ((502, "<html>"), CallUnknown("http_502")),
        (None, CallUnknown("ServerDisconnectedError")),
    ],
)
def test_what_an_answer_means(answer: tuple[int, object] | None, outcome: object) -> None:
    assert sent(Api([token("t1"), answer]), channel()) == [outcome]


def test_the_token_is_kept_and_renewed_before_it_ends() -> None:
    clock = SetClock(1000.0)
    api = Api([token("t1"), SENT, SENT, token("t2"), SENT])

    class Later(WeChatChannel):
        async def send(self, order: Any) -> Any:
            outcome = await super().send(order)
            clock.pass_s(3600.0)
            return outcome

    sent(api, lambda url: Later("wx1", "s", "tpl-1", {}, clock, url=url), order(), order(), order())
    assert tokens(api) == [("ask", False), ("send", "t1"), ("send", "t1"), ("ask", False), ("send", "t2")]


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_refused_token_is_replaced_and_the_message_sent_again(code: int) -> None:
    api = Api([token("t1"), failing(code), token("t2"), SENT])
    assert sent(api, channel()) == [CallAccepted("200228332")]
    assert tokens(api) == [("ask", False), ("send", "t1"), ("ask", False), ("send", "t2")]


def test_a_renewal_is_forced_only_where_the_refused_token_is_given_again_and_not_often() -> None:
    same = token("t1")
    api = Api([same, failing(40001), same, token("t2"), failing(40001), token("t2"), failing(40001), token("t2")])
    outcomes = sent(api, channel(), order(), order())
    assert outcomes == [CallRefused(False, "token_refused"), CallRefused(False, "no_token")]
    assert [what for what in tokens(api) if what == ("ask", True)] == [("ask", True)]


@pytest.mark.parametrize("answer", [failing(40125), (500, {}), (200, "<html>"), None])
def test_without_a_token_nothing_is_sent(answer: tuple[int, object] | None) -> None:
    api = Api([answer])
    assert sent(api, channel()) == [CallRefused(False, "no_token")]
    assert all(one.path == "/cgi-bin/stable_token" for one in api.requests)


def test_a_connection_never_made_is_a_refusal() -> None:
    assert unreached(channel()) == CallRefused(False, "no_token")
