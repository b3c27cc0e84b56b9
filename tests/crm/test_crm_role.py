"""The role as it is started: each system is told by itself, and one that is away holds up no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from contact.channel_world import Api, free_port, serving
from crm_world import CONFIG, state, step
from pydantic import ValidationError
from reading_behaviour import BOUND_S, installation, until
from zoho_mock import GRANT, ZohoMock

from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.app.config_check import refusal
from pipeline.app.configuration import WrongInstallation
from pipeline.app.crm import configured, run_crm
from pipeline.core.crm_mapping import parse_mapping
from pipeline.core.topics import CONTACTS, CUSTOMER_STATE, DEAD_LETTERS, Outgoing
from pipeline.roles.crm.settings import CrmSettings

SECRET = "a-webhook-secret-of-the-tests"
WEBHOOK = {"crm_webhook_url": "https://crm.example/events", "crm_webhook_secret": SECRET}
ZOHO = {f"crm_zoho_{name}": GRANT[name] for name in ("client_id", "client_secret", "refresh_token")}
FXIAOKE = {f"crm_fxiaoke_{name}": "x" for name in ("app_id", "app_secret", "permanent_code", "user")}


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch, bootstrap: str, prefix: str, **given: str) -> AsyncIterator[str]:
    """The role with these settings; the address of its metrics."""
    port = free_port()
    everything = {"kafka_bootstrap": bootstrap, "topic_prefix": prefix, "config_dir": str(CONFIG), **given}
    for name, value in {**everything, "metrics_port": str(port)}.items():
        monkeypatch.setenv(f"CARDWATCH_{name.upper()}", value)
    stop = asyncio.Event()
    role = asyncio.create_task(run_crm(stop))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        async with asyncio.timeout(BOUND_S):
            await role


async def metric(url: str, line: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        found = [text for text in (await answer.text()).splitlines() if text.startswith(line)]
        return float(found[0].split()[-1])


def test_a_system_that_is_away_holds_up_no_other_and_gets_all_when_it_is_back(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        api, zoho = Api(), ZohoMock()
        zoho.fault = "500"
        async with (
            installation(bootstrap, "role.") as (_, log),
            serving(api),
            zoho.running(),
            running(
                monkeypatch,
                bootstrap,
                "role.",
                crm_webhook_url=f"{api.url}/events",
                crm_webhook_secret=SECRET,
                crm_zoho_accounts_url=zoho.url,
                crm_zoho_url=zoho.url,
                **ZOHO,
            ) as metrics,
        ):
            records = [step(what) for what in ("planned", "sending", "accepted", "answered")]
            await log.send(CONTACTS, [Outgoing(record.key, record.value or b"") for record in records])
            await log.send(CONTACTS, [Outgoing(b"cu1", b"no JSON")])
            tags = state(tags=["dormant"])
            await log.send(CUSTOMER_STATE, [Outgoing(tags.key, tags.value or b"")])
            await until(lambda: len(api.requests) == 5)
            told = [one.json()["data"].get("step") for one in api.requests]
            assert [what for what in told if what] == ["planned", "sending", "accepted", "answered"]
            assert await metric(metrics, 'cardwatch_crm_sent_total{result="taken",sink="webhook"}') == 5
            async with asyncio.timeout(BOUND_S):
                while await metric(metrics, 'cardwatch_crm_lag_seconds{sink="zoho"}') <= 0:
                    await asyncio.sleep(0.02)
            assert await metric(metrics, 'cardwatch_crm_lag_seconds{sink="webhook"}') == 0
            assert zoho.rows == {}
            zoho.fault = None
            await until(lambda: set(zoho.rows) == {"Cardwatch_Contacts", "Contacts"})
            assert zoho.violations == []
            assert zoho.rows["Contacts"]["cu1"]["tags"] == ["dormant"]
            letters = await unusable(bootstrap, "role.", 2)
            assert all(b"not_a_contact_step" in letter for letter in letters), "one from each system"

    asyncio.run(scenario())


async def unusable(bootstrap: str, prefix: str, count: int) -> list[bytes]:
    """The first dead letters of an installation."""
    reader = KafkaReader(CrmSettings(kafka_bootstrap=bootstrap, topic_prefix=prefix), DEAD_LETTERS)
    await reader.start()
    found: list[bytes] = []
    async with asyncio.timeout(BOUND_S):
        while len(found) < count:
            poll = await reader.poll(0.1)
            found += [record.value or b"" for records in poll.values() for record in records]
    await reader.stop()
    return found


def test_a_role_that_nobody_told_whom_to_tell_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(CONFIG))
    with pytest.raises(WrongInstallation, match="CARDWATCH_CRM_WEBHOOK_URL"):
        asyncio.run(run_crm(asyncio.Event()))


@pytest.mark.parametrize(
    ("given", "names"),
    [({}, []), (WEBHOOK, ["webhook"]), ({**ZOHO, **FXIAOKE}, ["zoho", "fxiaoke"]), ({**WEBHOOK, **ZOHO}, ["webhook", "zoho"])],
)  # fmt: skip
def test_the_systems_whose_settings_are_given_are_told(given: dict[str, str], names: list[str]) -> None:
    class Clock:
        def now(self) -> float:
            return 0.0

    lines = configured(CrmSettings(**given), parse_mapping("", "crm.toml"), Clock())
    assert [line.name for line in lines] == names


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"crm_webhook_url": "https://crm.example"}, "CARDWATCH_CRM_WEBHOOK_SECRET is missing"),
        (
            {"crm_zoho_client_id": "1"},
            "CARDWATCH_CRM_ZOHO_CLIENT_SECRET and CARDWATCH_CRM_ZOHO_REFRESH_TOKEN are missing",
        ),
        ({"crm_fxiaoke_user": "1"}, "CARDWATCH_CRM_FXIAOKE_PERMANENT_CODE are missing"),
        ({**WEBHOOK, "crm_webhook_secret": "short"}, "CARDWATCH_CRM_WEBHOOK_SECRET is short"),
        ({**WEBHOOK, "crm_webhook_secret": "whsec_?"}, "CARDWATCH_CRM_WEBHOOK_SECRET"),
        ({"crm_zoho_url": "zoho"}, "CARDWATCH_CRM_ZOHO_URL: not an address"),
    ],
)
def test_half_given_settings_are_refused_by_name(given: dict[str, str], missing: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CrmSettings(**given)
    words = refusal(refused.value)
    assert words is not None
    assert missing in words
    assert "short" not in words.replace("is short", "")


def test_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "urls").write_text("json://127.0.0.1:1\njson://127.0.0.1:2\n")
    monkeypatch.setenv("CARDWATCH_CRM_STAFF_URLS_FILE", str(tmp_path / "urls"))
    assert CrmSettings().staff_urls() == ["json://127.0.0.1:1", "json://127.0.0.1:2"]
