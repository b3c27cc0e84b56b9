"""Rows into Fxiaoke (纷享销客) by its open API: looked for by our own field, then changed or made.

Written from the public documentation and tested against a mock of it, never against Fxiaoke's servers:
https://developer.fxiaoke.com/openapi_v2/object/CustomCapabilities/CustomObj/ (custom objects: query, add, update),
https://developer.fxiaoke.com/openapi_v2/start/guide/codes.html (codes), …/rate.html (100 requests in 20 s to each
interface, ten tokens a minute). Credentials go in the body, as its older form has it: ``corpAccessToken``, ``corpId``
and ``currentOpenUserId``. Objects whose name ends in ``__c`` have paths of their own.

Every answer has status 200; ``errorCode`` 0 is success. Its documentation and its servers are known to disagree about
some codes, so only those are read closely that say "not now" or speak of who we are: then everything waits. Any other
code refuses the row it was about. There is no upsert: a row made at the same moment by somebody else is made twice. An
answer lost after a row was made does no harm: the row is found when the event comes again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pipeline.adapters.channels.posting import TIMEOUT_S, Answer, Poster, judged
from pipeline.adapters.crm.token import KeptToken
from pipeline.core.crm_event import CrmEvent
from pipeline.core.crm_outcome import TAKEN, Told, told_by
from pipeline.core.crm_rows import Row, Rule, rows_of
from pipeline.core.token_bucket import TokenBucket
from pipeline.ports import Clock

TOKEN_PATH = "/cgi/corpAccessToken/get/V2"  # noqa: S105 -- a path
BURST = 20.0
LONGEST_WAIT_S = 60.0
MAX_ANSWER_BYTES = 512 * 1024
"""A query answers with whole rows, every field of theirs."""
REMEMBERED = 10_000
"""Rows whose ids are kept, so that the next step of a contact needs no query."""
TOKEN_REFUSED = frozenset({20005, 20016})
NOT_NOW = frozenset({-2, -1, 14001, 30002, 30003, 30004, 50009})
"""System busy, too many requests, the day's quota used up or none bought, time-out."""
ABOUT_US = (range(15_003, 15_004), range(20_000, 21_000))
"""Application, company, employee, rights: for the administrator to put right."""
PARAMETERS = range(10_000, 14_000)
"""Mostly credentials, but some are known to be used for what a request asks."""


class Login(NamedTuple):
    """What Fxiaoke knows our application by."""

    app_id: str
    app_secret: str
    permanent_code: str


class _Grant(NamedTuple):
    token: str
    corp: str


class _Token(msgspec.Struct, rename="camel"):
    error_code: int | None = None
    corp_access_token: str | None = None
    corp_id: str | None = None
    expires_in: float = 7200.0


class _Found(msgspec.Struct):
    id: str = msgspec.field(name="_id")


class _List(msgspec.Struct, rename="camel"):
    data_list: list[_Found] = []


class _Said(msgspec.Struct, rename="camel"):
    error_code: int
    data_id: str | None = None


class _Rows(msgspec.Struct, rename="camel"):
    data: _List


_token = msgspec.json.Decoder(_Token)
_said = msgspec.json.Decoder(_Said)
_rows = msgspec.json.Decoder(_Rows)


class Fxiaoke:
    """The OtherSystem port. ``user``: openUserId of the employee who writes the rows and owns new ones; ``rate_s``:
    requests a second to each interface."""

    def __init__(
        self,
        rules: Sequence[Rule],
        login: Login,
        user: str,
        url: str,
        clock: Clock,
        rate_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timeout_s: float = 2 * TIMEOUT_S,
    ) -> None:
        self._rules = rules
        self._login = login
        self._user = user
        self._url = url.rstrip("/")
        self._clock = clock
        self._rate_s = rate_s
        self._sleep = sleep
        self._poster = Poster(timeout_s)
        self._token = KeptToken(self._ask, clock)
        self._buckets: dict[str, TokenBucket] = {}
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        rows = rows_of(self._rules, events)
        fates: dict[int, Told] = {}
        for position, row in enumerate(rows):
            fates[position] = await self._put(row)
            if fates[position].result == "later":
                break
        return told_by(rows, fates, len(events))

    async def _put(self, row: Row) -> Told:
        name = (row.module, str(row.fields[row.key]))
        known = self._ids.get(name)
        found = known or await self._find(row)
        if isinstance(found, Told):
            return found
        if found is None:
            fresh = {"dataObjectApiName": row.module, "owner": [self._user], **row.fields}
            said = await self._call(row.module, "create", {"object_data": fresh, "details": {}})
        else:
            changed = {"_id": found, "dataObjectApiName": row.module, **row.fields}
            said = await self._call(row.module, "update", {"object_data": changed})
        if isinstance(said, Told):
            if known:
                self._ids.pop(name, None)  # it may have been deleted there: look for it next time
                if said.result == "rejected":
                    return await self._put(row)
            return said
        self._remember(name, found or _said.decode(said).data_id)
        return TAKEN

    async def _find(self, row: Row) -> str | Told | None:
        """The id of the row with our key; None when there is none."""
        wanted = {"field_name": row.key, "operator": "EQ", "field_values": [str(row.fields[row.key])]}
        query = {"limit": 1, "offset": 0, "filters": [wanted], "orders": [{"fieldName": "_id", "isAsc": True}]}
        said = await self._call(row.module, "query", {"dataObjectApiName": row.module, "search_query_info": query})
        if isinstance(said, Told):
            return said
        try:
            found = _rows.decode(said).data.data_list
        except msgspec.DecodeError:
            return Told("later", "unreadable")
        return found[0].id if found else None

    def _remember(self, name: tuple[str, str], row_id: str | None) -> None:
        if row_id is None:
            return
        self._ids[name] = row_id
        self._ids.move_to_end(name)
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    async def _call(self, module: str, action: str, data: Mapping[str, object]) -> bytes | Told:
        """The body of a success; what it was else."""
        path = f"/cgi/crm/{'custom/' if module.endswith('__c') else ''}v2/data/{action}"
        refused, why = None, "no_token"
        for _ in range(2):
            grant = await self._token.current(refused)
            if grant is None:
                break
            if not await self._turn_comes(path):
                return Told("later", "rate_limited")
            who = {"corpAccessToken": grant.token, "corpId": grant.corp, "currentOpenUserId": self._user}
            flows = {} if action == "query" else {"triggerWorkFlow": False}
            body = msgspec.json.encode({**who, **flows, "data": data})
            answer = await self._poster.post(self._url + path, body, {}, longest=MAX_ANSWER_BYTES)
            if not isinstance(answer, Answer):
                return Told("later", answer.reason)
            if judged(answer.status) is not None:
                return Told("later", f"http_{answer.status}")
            try:
                code = _said.decode(answer.body).error_code
            except (msgspec.DecodeError, UnicodeDecodeError):
                return Told("later", "unreadable")
            if code == 0:
                return answer.body
            if code not in TOKEN_REFUSED:
                return _judged(code)
            refused, why = grant, "token_refused"
        return Told("later", why)

    async def _turn_comes(self, path: str) -> bool:
        bucket = self._buckets.setdefault(path, TokenBucket(self._rate_s, max(BURST, self._rate_s)))
        wait = bucket.reserve(self._clock.now(), LONGEST_WAIT_S)
        if wait:
            await self._sleep(wait)
        return wait is not None

    async def _ask(self) -> tuple[_Grant, float] | None:
        login = self._login
        body = {"appId": login.app_id, "appSecret": login.app_secret, "permanentCode": login.permanent_code}
        answer = await self._poster.post(self._url + TOKEN_PATH, msgspec.json.encode(body), {})
        if not isinstance(answer, Answer) or judged(answer.status) is not None:
            return None
        try:
            said = _token.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if said.error_code != 0 or not said.corp_access_token or not said.corp_id:
            return None
        return _Grant(said.corp_access_token, said.corp_id), said.expires_in


def _judged(code: int) -> Told:
    set_up = any(code in codes for codes in ABOUT_US)
    later = set_up or code in NOT_NOW or code in PARAMETERS
    return Told("later" if later else "rejected", f"errorCode {code}", set_up)
