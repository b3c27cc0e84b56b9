"""A server like Twilio's, strict as its published interface is: see ``twilio_openapi_excerpt.json``.

Every request is held to it: an operation, parameter or type it does not have is a violation, answered with 400 and kept
in `violations`, which a test demands to be empty. It signs its call-backs with code of its own.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit
from xml.etree import ElementTree

import aiohttp
from aiohttp import web

INTERFACE = json.loads((Path(__file__).parent / "twilio_openapi_excerpt.json").read_text())
LIMITS = INTERFACE["told_in_descriptions"]
ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "an-auth-token-of-the-tests"
BANK = "+15005550006"
PUBLIC = "https://bank.example/cw"
"""What the callers believe our address to be; the mock sends to the test's port instead."""


class Violation(Exception):
    """A request the published interface does not allow."""


def _number(fact: dict[str, Any], value: str) -> float:
    return int(value) if fact["type"] == "integer" else 0


def check_value(name: str, fact: dict[str, Any], value: str) -> None:
    if fact["type"] == "integer" and not re.fullmatch(r"-?\d+", value):
        raise Violation(f"{name} must be a whole number")
    if fact["type"] == "boolean" and value not in ("true", "false"):
        raise Violation(f"{name} must be true or false")
    if not fact.get("minimum", float("-inf")) <= _number(fact, value) <= fact.get("maximum", float("inf")):
        raise Violation(f"{name} is out of range")
    if "enum" in fact and value not in fact["enum"]:
        raise Violation(f"{name} has no value {value!r}")
    if "pattern" in fact and not re.search(fact["pattern"], value):
        raise Violation(f"{name} does not match {fact['pattern']}")
    if fact.get("format") == "uri" and not (urlsplit(value).scheme in ("http", "https") and urlsplit(value).netloc):
        raise Violation(f"{name} must be an absolute address")
    if fact.get("format") in ("endpoint", "phone-number") and not re.fullmatch(r"\+[1-9]\d{6,14}", value):
        raise Violation(f"{name} must be a number in E.164 form")  # narrower than Twilio: all that these tests use


def check_params(facts: dict[str, Any], params: Sequence[tuple[str, str]], limits: dict[str, Any]) -> None:
    for name, value in params:
        fact = facts.get(name)
        if fact is None:
            raise Violation(f"there is no parameter {name}")
        if fact["type"] != "array" and sum(other == name for other, _ in params) > 1:
            raise Violation(f"{name} is given twice")
        check_value(name, fact.get("items", fact), value)
        told = limits.get(name)
        if told and isinstance(told[0], int) and not told[0] <= int(value) <= told[1]:
            raise Violation(f"{name} is out of range")
        if told and isinstance(told[0], str) and value not in told:
            raise Violation(f"{name} has no value {value!r}")
        if len(value) > limits.get(f"{name}_characters", len(value)):
            raise Violation(f"{name} is too long")


class TwilioMock:
    """``fault``: what the next creations do: None, "429", "500", "400", "401", "cut" (made, but the connection
    ends without an answer), "lost" (the same, not made), "silent" (no answer, never). ``now``: its clock."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.fault: str | None = None
        self.retry_after = "7"
        self.violations: list[str] = []
        self.requests: list[tuple[str, list[tuple[str, str]]]] = []
        self.made: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, list[str]]] = {}
        self.more_pages = False
        self.url = ""

    # --- the API

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TwilioMock"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        try:
            return await self._operation(request, body)
        except Violation as violation:
            self.violations.append(f"{request.method} {request.path}: {violation}")
            return self._json({"code": 21100, "message": str(violation), "status": 400}, 400)

    async def _operation(self, request: web.Request, body: str) -> web.StreamResponse:
        login = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != login:
            return self._json({"code": 20003, "message": "Authenticate", "status": 401}, 401)
        for name, operation in INTERFACE["operations"].items():
            pattern = re.sub(
                r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.escape(operation["path"]).replace(r"\{", "{").replace(r"\}", "}")
            )
            found = re.fullmatch(pattern, request.path)
            if found and operation["method"] == request.method:
                for part, value in found.groupdict().items():
                    check_value(part, operation["in_path"][part], value)
                query = parse_qsl(
                    request.query_string, keep_blank_values=True, strict_parsing=bool(request.query_string)
                )
                check_params(operation["in_query"], query, {})
                return await self._do(name, operation, request, found.groupdict().get("Sid"), query, body)
        raise Violation("there is no such operation")

    async def _do(
        self, name: str, operation: dict[str, Any], request: web.Request, sid: str | None, query: Any, body: str
    ) -> web.StreamResponse:
        self.requests.append((name, query))
        if not name.startswith(("Create", "Update")):
            return self._read(name, sid, dict(query))
        if request.content_type != operation["form_type"]:
            raise Violation("not a form")
        form = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
        self.requests[-1] = (name, form)
        check_params(operation["in_form"], form, LIMITS.get(name, {}))
        if missing := set(operation["required"]) - {parameter for parameter, _ in form}:
            raise Violation(f"missing: {missing}")
        if sid is not None:
            if sid not in self.made:
                return self._json({"code": 20404, "message": "not found", "status": 404}, 404)
            self.made[sid]["status"] = dict(form).get("Status", self.made[sid]["status"])
            return self._json(self.made[sid], operation["answers"])
        return await self._create(request, name.removeprefix("Create"), form, operation["answers"])

    async def _create(
        self, request: web.Request, what: str, form: list[tuple[str, str]], answers: int
    ) -> web.StreamResponse:
        refusals = {"400": 21211, "401": 20003, "429": 20429, "500": 20500}
        if self.fault in refusals:
            error = {"code": refusals[self.fault], "message": f"about {dict(form)['To']}", "status": int(self.fault)}
            return self._json(error, int(self.fault), {"Retry-After": self.retry_after} if self.fault == "429" else {})
        if self.fault == "silent":
            await asyncio.sleep(3600)
        made = None if self.fault == "lost" else self.make(what, dict(form))
        if made is not None:
            self.orders[made["sid"]] = {name: [v for n, v in form if n == name] for name, _ in form}
        if self.fault in ("lost", "cut"):
            assert request.transport is not None
            request.transport.abort()
        return self._json(made, answers)

    def make(
        self, what: str, form: dict[str, str], direction: str = "outbound-api", ago_s: float = 0
    ) -> dict[str, Any]:
        """A call or message as the API shows it."""
        prefix = {"Call": "CA", "Message": "SM"}[what]
        made: dict[str, Any] = dict.fromkeys(INTERFACE["resources"][what.lower()])
        made |= {
            "sid": f"{prefix}{len(self.made) + 1:032x}",
            "account_sid": ACCOUNT,
            "to": form["To"],
            "from": form.get("From"),
            "status": "queued",
            "direction": direction,
            "date_created": formatdate(self.now - ago_s),
        }
        if what == "Message":
            made["body"] = form["Body"]
        assert made.keys() == set(INTERFACE["resources"][what.lower()])
        self.made[made["sid"]] = made
        return made

    def _read(self, name: str, sid: str | None, query: dict[str, str]) -> web.StreamResponse:
        if sid is not None:
            if sid not in self.made:
                return self._json({"code": 20404, "message": "not found", "status": 404}, 404)
            return self._json(self.made[sid], 200)
        prefix, items = {"ListCall": ("CA", "calls"), "ListMessage": ("SM", "messages")}[name]
        shown = [
            made
            for made in reversed(self.made.values())
            if made["sid"].startswith(prefix)
            and all(made[field.lower()] == query[field] for field in query if field != "PageSize")
        ]
        more = "/2010-04-01/next" if self.more_pages else None
        return self._json({items: shown, "next_page_uri": more, "page": 0, "page_size": 50}, 200)

    def _json(self, value: Any, status: int, headers: dict[str, str] | None = None) -> web.Response:
        date = {"Date": formatdate(self.now, usegmt=True)}
        return web.json_response(value, status=status, headers=date | (headers or {}))

    def count(self, name: str) -> int:
        return sum(operation == name for operation, _ in self.requests)


def sign(address: str, form: Sequence[tuple[str, str]], token: str = TOKEN) -> str:
    text = address
    for name in sorted({name for name, _ in form}):
        for value in sorted({v for n, v in form if n == name}):
            text += name + value
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class TwilioCaller:
    """The other side: requests our addresses as Twilio would, at ``port`` of this machine."""

    def __init__(self, port: int, public: str = PUBLIC) -> None:
        self._port = port
        self._public = public

    def local(self, address: str) -> str:
        assert address.startswith(self._public)
        return f"http://127.0.0.1:{self._port}" + urldefrag(address)[0].removeprefix(self._public)

    async def post(
        self, address: str, form: dict[str, str], signed_as: str | None = None, whole: bool = False
    ) -> tuple[int, str]:
        """``signed_as``: a signature to send instead; ``whole``: the fragment is signed too."""
        pairs = [("AccountSid", ACCOUNT), *form.items()]
        body = urlencode(pairs).encode()
        given = sign(address if whole else urldefrag(address)[0], pairs) if signed_as is None else signed_as
        return await self.raw("POST", self.local(address), body, {"X-Twilio-Signature": given})

    async def raw(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | headers
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=headers) as response,
        ):
            return response.status, await response.text()

    async def ring(self, mock: TwilioMock, sid: str, answered_by: str, press: str | None) -> list[str]:
        """Carry a call through: answered, spoken, a key pressed or not, over. Answers what was said and done."""
        order = {name: values[0] for name, values in mock.orders[sid].items()}
        about = {"CallSid": sid, "From": order["From"], "To": order["To"], "Direction": "outbound-api"}
        heard: list[str] = []
        for status in ("initiated", "ringing", "in-progress"):
            assert (await self.post(order["StatusCallback"], about | {"CallStatus": status}))[0] == 200
        words = order.get("Twiml")
        if words is None:
            asked = about | {"CallStatus": "in-progress", "AnsweredBy": answered_by}
            status, words = await self.post(order["Url"], asked)
            assert status == 200, words
        heard += steps(words)
        gather = ElementTree.fromstring(words).find("Gather")
        if gather is not None and press is not None:
            status, words = await self.post(
                gather.attrib["action"], about | {"Digits": press, "CallStatus": "in-progress"}
            )
            assert status == 200, words
            heard += steps(words)
        ended = about | {"CallStatus": "completed", "CallDuration": "9"}
        assert (await self.post(order["StatusCallback"], ended))[0] == 200
        return heard


def steps(words: str) -> list[str]:
    """The verbs of a TwiML document in order, with the text they carry."""
    return [f"{verb.tag}:{verb.text}" if verb.text else verb.tag for verb in ElementTree.fromstring(words).iter()][1:]
