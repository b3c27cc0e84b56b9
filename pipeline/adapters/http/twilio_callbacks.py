"""Where Twilio asks what to say and reports what happened: ``POST /callbacks/twilio/…``, signed, stored before answered.

``voice`` asks what to say once somebody has picked up, ``gather`` brings the key pressed, ``status`` a call's progress
and end; ``sms`` is a customer's text message, ``sms-status`` what became of one of ours. 401 is for what does not prove
its origin, 503 for "again later" (our addresses ask Twilio to repeat a request that failed). What changes nothing, a
replay among it, is answered like the first time. A key pressed is reported before anything is said; if the words of
thanks cannot be had then, the call ends without them rather than ask for the key again.

The words of a call come from `Scripts` by key, so that any worker can speak for a call any other has ordered, and
nothing private stands in an address, where proxies would log it.
"""

from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from pipeline.core.twilio import (
    DIGITS,
    GATHER_PATH,
    MESSAGE_STATUSES,
    SMS_PATH,
    SMS_STATUS_PATH,
    STATUS_PATH,
    VOICE_PATH,
    CallbackUrls,
    by_machine,
    call_status,
)
from pipeline.core.twilio_signature import FIRST_NAME, HEADER, NotSigned, verify_form
from pipeline.core.twiml import CONTENT_TYPE, farewell, nothing, question
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallOrder, CallReport

MAX_BODY_BYTES = 64 * 1024
MAX_PARAMETERS = 200
FORM = "application/x-www-form-urlencoded"
SMS = "sms"
YES, NO, AGENT = "1", "2", "0"
log = structlog.get_logger()


class Reported(Protocol):
    """Who takes the reports of calls and of messages. Raises `StoreDown`: report again."""

    async def reported(self, report: CallReport) -> str: ...


class Replied(Protocol):
    """Who takes what customers write. ``provider_id`` is the same when the same message comes again. Raises
    `StoreDown`: send it again."""

    async def replied(self, channel: str, from_number: str, text: str, provider_id: str) -> str: ...


class Scripts(Protocol):
    """Who knows what a call says. None: there is no such call (any more). May raise `StoreDown`."""

    async def script(self, key: str) -> CallOrder | None: ...


class Account(NamedTuple):
    """Whose call-backs these are. ``auth_token``: the primary one, Twilio signs with it and with no API key;
    ``transfer``: the number of the bank's call centre (E.164), None where there is none."""

    sid: str
    auth_token: str
    urls: CallbackUrls
    transfer: str | None = None

    def __repr__(self) -> str:
        return f"Account({self.sid})"


class _Refused(Exception):
    """A request that is answered with ``status`` and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class TwilioCallbacks:
    """The handlers; `routes` go into any application."""

    def __init__(self, account: Account, reports: Reported, replies: Replied, scripts: Scripts) -> None:
        self._account = account
        self._reports = reports
        self._replies = replies
        self._scripts = scripts

    def add_to(self, app: web.Application) -> None:
        app.add_routes(self.routes())

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(VOICE_PATH, self._voice),
            web.post(GATHER_PATH, self._gather),
            web.post(STATUS_PATH, self._status),
            web.post(SMS_PATH, self._sms),
            web.post(SMS_STATUS_PATH, self._sms_status),
        ]

    # --- calls

    async def _voice(self, request: web.Request) -> web.Response:
        try:
            form, key = await self._form(request), _key(request)
            script = await self._scripts.script(key)
            if by_machine(form.get("AnsweredBy")):
                await self._reports.reported(CallReport(key, _named(form, "CallSid"), "voicemail"))
                return _twiml(farewell(script.voicemail, script.language) if script else farewell(None, ""))
        except _Refused as refused:
            return _refusal(refused)
        except StoreDown:
            return _again()
        if script is None:
            return _twiml(farewell(None, ""))
        return _twiml(question(script.say, script.language, self._account.urls.of(GATHER_PATH, key)))

    async def _gather(self, request: web.Request) -> web.Response:
        try:
            form, key = await self._form(request), _key(request)
            digits = form.get("Digits", "")
            if not digits:
                return _twiml(farewell(None, ""))
            if not DIGITS.fullmatch(digits):
                raise _Refused(400, "Digits holds what no telephone has")
            await self._reports.reported(CallReport(key, _named(form, "CallSid"), "completed", digits))
        except _Refused as refused:
            return _refusal(refused)
        except StoreDown:
            return _again()
        try:
            script = await self._scripts.script(key)
        except StoreDown as error:
            log.warning("a call ends without thanks: the store is away", error=str(error))
            script = None
        asks = script is None or bool(script.thanks_no)  # the key of a NO means something else where nothing is asked
        transfer = self._account.transfer if digits == AGENT or (digits == NO and asks) else None
        if script is None:
            return _twiml(farewell(None, "", transfer))
        return _twiml(farewell(_closing(script, digits, transfer), script.language, transfer))

    async def _status(self, request: web.Request) -> web.Response:
        try:
            form, key = await self._form(request), _key(request)
            word = call_status(_named(form, "CallStatus"), form.get("AnsweredBy"))
            return await self._report(key, _named(form, "CallSid"), word)
        except _Refused as refused:
            return _refusal(refused)

    # --- messages

    async def _sms(self, request: web.Request) -> web.Response:
        try:
            form = await self._form(request)
            message, sender = _named(form, "MessageSid"), _named(form, "From")
            await self._replies.replied(SMS, sender, form.get("Body", ""), message)
        except _Refused as refused:
            return _refusal(refused)
        except StoreDown:
            return _again()
        return _twiml(nothing())

    async def _sms_status(self, request: web.Request) -> web.Response:
        try:
            form, key = await self._form(request), _key(request)
            word = MESSAGE_STATUSES.get(_named(form, "MessageStatus"))
            return await self._report(key, _named(form, "MessageSid"), word)
        except _Refused as refused:
            return _refusal(refused)

    # --- what they share

    async def _report(self, key: str, name: str, word: str | None) -> web.Response:
        if word is None:
            return web.json_response({"outcome": "unknown_status"})
        try:
            outcome = await self._reports.reported(CallReport(key, name, word))
        except StoreDown:
            return _again()
        return web.json_response({"outcome": outcome})

    async def _form(self, request: web.Request) -> dict[str, str]:
        """The parameters of a request that is Twilio's. Raises _Refused."""
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise _Refused(413, "the body is too large")
        body = await request.content.read(MAX_BODY_BYTES + 1)
        while len(body) <= MAX_BODY_BYTES and (more := await request.content.read(MAX_BODY_BYTES + 1 - len(body))):
            body += more
        if len(body) > MAX_BODY_BYTES:
            raise _Refused(413, "the body is too large")
        try:
            params = self._verified(request, body)
        except NotSigned as refused:
            log.warning("a call-back was refused", reason=str(refused), path=request.path)
            raise _Refused(401, str(refused)) from refused
        return dict(params)

    def _verified(self, request: web.Request, body: bytes) -> list[tuple[str, str]]:
        if request.content_type != FORM:
            raise NotSigned("not a form")
        try:
            params = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
        except (UnicodeDecodeError, ValueError) as error:
            raise NotSigned("not a form that can be read") from error
        urls = self._account.urls
        called = [urls.public.rstrip("/") + request.raw_path]
        if (
            urls.retry
        ):  # it is not documented whether the part behind "#" is signed too; as it is ours, both prove the same
            called.append(f"{called[0]}#{urls.retry}")
        verify_form(self._account.auth_token, called, params, request.headers.get(HEADER, ""))
        if min(params, default=None) != (FIRST_NAME, self._account.sid):
            raise NotSigned("AccountSid is missing, not the first of the names, or another account's")
        return params


def _key(request: web.Request) -> str:
    """The key in the address, which the signature covered. Raises _Refused."""
    keys = request.query.getall("key", [])
    if len(keys) != 1 or not keys[0]:
        raise _Refused(400, "the address bears no key")
    return keys[0]


def _named(form: dict[str, str], name: str) -> str:
    if not (value := form.get(name)):
        raise _Refused(400, f"{name} is missing")
    return value


def _closing(script: CallOrder, digits: str, transfer: str | None) -> str | None:
    """The last words of a call. Whoever pressed neither yes nor no is told how to reach the bank, unless connected."""
    if digits == YES:
        return script.thanks_yes
    if digits == NO:
        return script.thanks_no
    return None if transfer else script.voicemail


def _twiml(text: str) -> web.Response:
    return web.Response(text=text, content_type=CONTENT_TYPE)


def _refusal(refused: _Refused) -> web.Response:
    return web.json_response({"error": str(refused)}, status=refused.status)


def _again() -> web.Response:
    return web.json_response({"error": "the store is away, again later"}, status=503)
