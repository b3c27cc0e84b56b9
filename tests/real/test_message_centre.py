"""The SMS channel against an independent SMPP 3.4 message centre (node-smpp), over TCP and over TLS.

`.ci/install-smsc.sh DIR` fetches it; CARDWATCH_TEST_SMSC=DIR says where it is.
"""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from secured import Authority
from servers import program

from pipeline.adapters.channels.smpp import SmppChannel
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallAccepted, CallRefused, CallReport, CallUnknown, MessageOrder

NUMBER = "+8613800138042"
PHONE = {"source_addr_ton": 1, "source_addr_npi": 1, "source_addr": NUMBER[1:], "destination_addr": "95588"}


def order(text: str = "YES / NO?", key: str = "ct_1:1:1") -> MessageOrder:
    return MessageOrder(key, "sms", NUMBER, "en", text, None, ["al_1"], 3_600.0)


@dataclass
class Centre:
    process: asyncio.subprocess.Process
    port: int = 0

    async def heard(self, what: str) -> Any:
        """The next thing of this kind that happened there."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if what in (found := json.loads(line)):
                return found
        raise AssertionError("the message centre ended")

    def order(self, **what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")

    async def deliver(self, text: str, **more: Any) -> int:
        self.order(deliver={**PHONE, "short_message": {"message": text}, **more})
        status: int = (await self.heard("answered"))["answered"]
        return status


@dataclass
class Bank:
    down: bool = False
    reports: list[CallReport] = field(default_factory=list)
    replies: list[tuple[str, ...]] = field(default_factory=list)

    async def reported(self, report: CallReport) -> None:
        if self.down:
            raise StoreDown("away")
        self.reports.append(report)

    async def replied(self, *reply: str) -> None:
        if self.down:
            raise StoreDown("away")
        self.replies.append(reply[:3])


@asynccontextmanager
async def message_centre(tls: Sequence[Path] = ()) -> AsyncIterator[Centre]:
    modules = os.environ.get("CARDWATCH_TEST_SMSC")
    assert modules, "CARDWATCH_TEST_SMSC must name the directory of node-smpp (.ci/install-smsc.sh DIR)"
    process = await asyncio.create_subprocess_exec(
        program("node"),
        str(Path(__file__).with_name("smsc.js")),
        *map(str, tls),
        env={**os.environ, "NODE_PATH": f"{modules}/node_modules"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        centre = Centre(process)
        centre.port = (await centre.heard("port"))["port"]
        yield centre
    finally:
        process.kill()
        await process.wait()


def channel(centre: Centre, bank: Bank, **more: Any) -> SmppChannel:
    settings: dict[str, Any] = {"password": "s3cret", "timeout_s": 5.0, "pause_s": (0.05, 0.1)} | more
    return SmppChannel(
        "127.0.0.1", centre.port, "bank", settings.pop("password"), "95588", bank.reported, bank.replied, **settings
    )


@asynccontextmanager
async def bound(
    bank: Bank, authority: Authority | None = None, **more: Any
) -> AsyncIterator[tuple[SmppChannel, Centre]]:
    certificate = authority.issue("smsc") if authority else None
    async with asyncio.timeout(30), message_centre(certificate[::-1] if certificate else ()) as centre:
        if authority is not None:
            more["tls"] = ssl.create_default_context(cafile=str(authority.certificate))
        sms = channel(centre, bank, **more)
        await sms.start()
        await sms.bound.wait()
        yield sms, centre
        await sms.stop()


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_message_arrives_as_ordered_and_the_session_ends_politely(encrypted: bool, tmp_path: Path) -> None:
    async def go() -> None:
        async with bound(Bank(), Authority(tmp_path) if encrypted else None) as (sms, centre):
            assert await sms.send(order("Bank: ¥ is £, €5 [at] Café. YES / NO?")) == CallAccepted("id-1")
            assert await sms.send(order("【银行】尾号4242消费¥1,234.50。是本人请回1", "k2")) == CallAccepted("id-2")
            first, second = await centre.heard("submit"), await centre.heard("submit")
            await sms.stop()
            await centre.heard("unbind")
        assert second["submit"] == "【银行】尾号4242消费¥1,234.50。是本人请回1"
        assert first == {
            "submit": "Bank: ¥ is £, €5 [at] Café. YES / NO?",
            "udh": None,
            "payload": False,
            "from": [3, 1, "95588"],
            "to": [1, 1, NUMBER[1:]],
            "coding": 0,
            "receipt": 1,
            "valid_s": first["valid_s"],
        }
        assert 3_500 < first["valid_s"] <= 3_601
        assert second["coding"] == 8

    asyncio.run(go())


@pytest.mark.parametrize(("text", "total"), [("x" * 161, 2), ("是" * 135, 3)])
def test_a_long_message_arrives_in_numbered_parts(text: str, total: int) -> None:
    async def go() -> None:
        async with bound(Bank()) as (sms, centre):
            assert await sms.send(order(text)) == CallAccepted("id-1")
            cut = [await centre.heard("submit") for _ in range(total)]
        assert "".join(part["submit"] for part in cut) == text
        marks = [bytes.fromhex(part["udh"][0]) for part in cut]
        assert [mark[-2:] for mark in marks] == [bytes((total, number)) for number in range(1, total + 1)]
        assert len({mark[:-2] for mark in marks}) == 1

    asyncio.run(go())


def test_a_long_message_arrives_whole_as_payload() -> None:
    async def go() -> None:
        async with bound(Bank(), long="payload") as (sms, centre):
            assert await sms.send(order("是" * 200)) == CallAccepted("id-1")
            submitted = await centre.heard("submit")
        assert (submitted["submit"], submitted["payload"]) == ("是" * 200, True)

    asyncio.run(go())


def test_refusals_and_a_loss_say_what_is_certain_and_the_session_comes_back() -> None:
    async def go() -> None:
        async with bound(Bank()) as (sms, centre):
            centre.order(next=[0x58, 0x0B, "drop"])
            centre.order(enquire=True)
            await centre.heard("alive")  # the orders before it are in force
            assert await sms.send(order()) == CallRefused(False, "smpp_0x58")
            assert await sms.send(order()) == CallRefused(True, "smpp_0x0b")
            assert await sms.send(order()) == CallUnknown("no_answer")
            while sms.bound.is_set():
                await asyncio.sleep(0.005)
            await sms.bound.wait()
            assert isinstance(await sms.send(order()), CallAccepted)

    asyncio.run(go())


def test_receipts_and_replies_are_acknowledged_once_they_are_stored() -> None:
    async def go() -> Bank:
        bank = Bank()
        async with bound(bank) as (sms, centre):
            await sms.send(order())
            receipt = "id:id-1 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:"
            state = {"esm_class": 4, "receipted_message_id": "id-1", "message_state": 2}
            bank.down = True
            assert await centre.deliver(receipt, **state) == 0x64
            assert await centre.deliver("YES") == 0x64
            bank.down = False
            assert await centre.deliver(receipt, **state) == 0
            assert await centre.deliver("YES") == 0
            assert await centre.deliver("是", data_coding=8) == 0
            assert await sms.find("ct_1:1:1") == CallReport("ct_1:1:1", "id-1", "delivered")
        return bank

    bank = asyncio.run(go())
    assert bank.reports == [CallReport("ct_1:1:1", "id-1", "delivered")]
    assert bank.replies == [("sms", NUMBER, "YES"), ("sms", NUMBER, "是")]


def test_the_centre_is_asked_what_became_of_a_message_and_the_link_is_kept_alive() -> None:
    async def go() -> None:
        async with bound(Bank(), enquire_s=0.05) as (sms, centre):
            await centre.heard("enquired")
            await sms.send(order())
            centre.order(state=5, enquire=True)
            await centre.heard("alive")
            assert await sms.find("ct_1:1:1") == CallReport("ct_1:1:1", "id-1", "undelivered")

    asyncio.run(go())


def test_a_wrong_password_binds_nothing_and_is_tried_again_after_a_pause() -> None:
    async def go() -> None:
        async with asyncio.timeout(30), message_centre() as centre:
            sms = channel(centre, Bank(), password="wrong")
            await sms.start()
            assert [(await centre.heard("bind"))["bind"] for _ in range(2)] == [False, False]
            assert await sms.send(order()) == CallRefused(False, "not_bound")
            await sms.stop()

    asyncio.run(go())
