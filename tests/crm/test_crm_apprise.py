"""Staff alerts through the real Apprise, to a service of this machine."""

import asyncio
import sys

import pytest
from contact.channel_world import Api, free_port, serving

from pipeline.adapters.crm.apprise import AppriseNotifier, NoApprise


def test_without_the_extra_the_operator_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NoApprise, match=r"pip install 'cardwatch\[apprise\]'"):
        AppriseNotifier(["json://127.0.0.1:1"])


def test_a_message_arrives_as_it_is() -> None:
    pytest.importorskip("apprise")

    async def go() -> Api:
        async with serving(Api()) as api, asyncio.timeout(10):
            notifier = AppriseNotifier([api.url.replace("http://", "json://")])
            assert await notifier.notify("A customer complains / 客户投诉", "Please call back.\n请回电。")
            return api

    (request,) = asyncio.run(go()).requests
    assert request.json()["title"] == "A customer complains / 客户投诉"
    assert request.json()["message"] == "Please call back.\n请回电。"


def test_a_service_that_does_not_answer_is_not_told() -> None:
    pytest.importorskip("apprise")

    async def go() -> bool:
        async with asyncio.timeout(10):
            return await AppriseNotifier([f"json://127.0.0.1:{free_port()}"]).notify("title", "body")

    assert asyncio.run(go()) is False


def test_a_service_that_apprise_does_not_know_is_named_by_its_number_only() -> None:
    pytest.importorskip("apprise")
    with pytest.raises(NoApprise) as refused:
        AppriseNotifier(["json://127.0.0.1:1", "nonsense://user:hush@nowhere"])
    assert "number 2" in str(refused.value)
    assert "hush" not in str(refused.value)
