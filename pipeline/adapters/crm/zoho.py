"""Rows into Zoho CRM, by version 8 of its API: upserts of up to 100 rows, found again by a field that is unique there.

Written from Zoho's published OpenAPI (https://github.com/zoho/crm-oas, v8.0: record and tags_actions) and tested against
a mock that holds every request to it, never against Zoho's servers; tokens, limits and the codes INVALID_TOKEN and
TOO_MANY_REQUESTS are from https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html and
https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html.

What Zoho says of a row concerns that row: refused for good, unless the code says "not now". What it says of a whole call
(limits, a token, a right, a module that is not there) concerns us or the moment: everything waits. A call refused for
the data of one row is made again row by row. After a 429 no call is made for as long as its ``Retry-After`` says. Calls go one after the other, within any edition's concurrency limit.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.adapters.channels.posting import TIMEOUT_S, Answer, Poster, judged
from pipeline.adapters.channels.resting import Rest
from pipeline.adapters.crm.token import KeptToken
from pipeline.core.crm_event import CrmEvent
from pipeline.core.crm_outcome import TAKEN, Told, told_by
from pipeline.core.crm_rows import Row, Rule, rows_of
from pipeline.ports import Clock

ROWS_PER_CALL = 100
MAX_ANSWER_BYTES = 512 * 1024
"""What is said of 100 rows has some 50 kB."""
TAGS_PER_CALL = {"add_tags": 3, "remove_tags": 1}
"""As the published interface has it."""
TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 -- a path
NOT_NOW = frozenset(
    {"INTERNAL_ERROR", "DEPENDENT_SERVICE_ERROR", "LIMIT_EXCEEDED", "TOO_MANY_REQUESTS", "RECORD_LOCKED"}
)
"""Said of a row, but about the moment."""
ABOUT_US = frozenset(
    {
        "AUTHENTICATION_FAILURE", "AUTHORIZATION_FAILED", "INVALID_MODULE", "INVALID_REQUEST_METHOD", "INVALID_TOKEN",
        "INVALID_URL_PATTERN", "NO_PERMISSION", "NOT_SUPPORTED", "OAUTH_SCOPE_MISMATCH", "PERMISSION_DENIED",
    }
)  # fmt: skip
"""Said of a row or of a call, but about what the administrator has set up."""
SUCCESS = "SUCCESS"


class _Token(msgspec.Struct):
    access_token: str | None = None
    expires_in: float = 3600.0


class _Item(msgspec.Struct):
    code: str
    details: Any = None

    def detail(self, name: str) -> str | None:
        found = self.details.get(name) if isinstance(self.details, dict) else None
        return found if isinstance(found, str) else None


class _Said(msgspec.Struct):
    """An answer: of each row, of the call, or of its tags."""

    data: list[_Item] | None = None
    code: str | None = None
    tags: Any = None


_token = msgspec.json.Decoder(_Token)
_said = msgspec.json.Decoder(_Said)


class ZohoLogin:
    """Access tokens for a refresh token that an administrator made once."""

    def __init__(self, accounts_url: str, client_id: str, client_secret: str, refresh_token: str) -> None:
        self._url = accounts_url.rstrip("/") + TOKEN_PATH
        self._params = {
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
            "grant_type": "refresh_token",
        }

    async def ask(self, poster: Poster) -> tuple[str, float] | None:
        """A refusal has status 200 and no token."""
        answer = await poster.post(self._url, b"", {}, self._params)
        if not isinstance(answer, Answer) or judged(answer.status) is not None:
            return None
        try:
            found = _token.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return (found.access_token, found.expires_in) if found.access_token else None


class ZohoCrm:
    """The OtherSystem port."""

    def __init__(
        self, rules: Sequence[Rule], login: ZohoLogin, url: str, clock: Clock, timeout_s: float = 4 * TIMEOUT_S
    ) -> None:
        self._rules = rules
        self._url = url.rstrip("/") + "/crm/v8/"
        self._poster = Poster(timeout_s)
        self._token = KeptToken(lambda: login.ask(self._poster), clock)
        self._rest = Rest(clock)

    async def start(self) -> None:
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def tell(self, events: Sequence[CrmEvent]) -> Sequence[Told]:
        rows = rows_of(self._rules, events)
        fates: dict[int, Told] = {}
        for positions in _calls(rows):
            said = await self._upsert([rows[position] for position in positions])
            fates |= zip(positions, said, strict=True)
            if any(told.result == "later" for told in said):
                break
        return told_by(rows, fates, len(events))

    async def _upsert(self, rows: Sequence[Row]) -> list[Told]:
        """Rows of one module."""
        request = {
            "data": [row.fields for row in rows],
            "duplicate_check_fields": [rows[0].key],
            "trigger": [],
        }
        said = await self._call(f"{rows[0].module}/upsert", request)
        if isinstance(said, Told):
            return [said] * len(rows)
        if said.data is not None and len(said.data) == len(rows):
            return [await self._settled(row, item) for row, item in zip(rows, said.data, strict=True)]
        if (code := _code(said)) in ABOUT_US | NOT_NOW or code is None:
            return [_later(code)] * len(rows)
        if len(rows) == 1:
            return [Told("rejected", code)]
        return [(await self._upsert([row]))[0] for row in rows]  # one of them is to blame: the others go

    async def _settled(self, row: Row, item: _Item) -> Told:
        if item.code in NOT_NOW | ABOUT_US:
            return _later(item.code)
        if item.code != SUCCESS:
            field = item.detail("api_name")
            return Told("rejected", f"{item.code} {field}" if field else item.code)
        if row.tags is None:
            return TAKEN
        record = item.detail("id")
        if record is None:
            return Told("later", "unreadable")
        for action, tags in (("add_tags", row.tags.add), ("remove_tags", row.tags.remove)):
            told = await self._tag(row.module, record, action, tags)
            if told.result != "taken":
                return told
        return TAKEN

    async def _tag(self, module: str, record: str, action: str, tags: Sequence[str]) -> Told:
        at_once = TAGS_PER_CALL[action]
        for first in range(0, len(tags), at_once):
            request: dict[str, object] = {
                "tags": [{"name": tag} for tag in tags[first : first + at_once]],
                "ids": f'["{record}"]',
            }
            if action == "add_tags":
                request["over_write"] = False
            said = await self._call(f"{module}/actions/{action}", request)
            if isinstance(said, Told):
                return said
            code = _code(said)
            if code is None or code in NOT_NOW | ABOUT_US:
                return _later(code)
            if code != SUCCESS:
                return Told("rejected", f"{action} {code}")
        return TAKEN

    async def _call(self, path: str, request: Mapping[str, object]) -> _Said | Told:
        """What Zoho says; for later, when it says nothing that can be used, or nothing but "not now"."""
        if self._rest.goes_on:
            return Told("later", "rate_limited")
        body = msgspec.json.encode(request)
        refused, why = None, "no_token"
        for _ in range(2):
            token = await self._token.current(refused)
            if token is None:
                break
            headers = {"Authorization": f"Zoho-oauthtoken {token}"}
            answer = await self._poster.post(self._url + path, body, headers, longest=MAX_ANSWER_BYTES)
            if not isinstance(answer, Answer):
                return Told("later", answer.reason)
            self._rest.after(answer.status, answer.retry_after)
            if answer.status == 401:  # INVALID_TOKEN, or one that may not do this
                refused, why = token, "token_refused"
                continue
            if answer.status == 429 or answer.status >= 500 or 300 <= answer.status < 400:
                return Told("later", f"http_{answer.status}")
            try:
                return _said.decode(answer.body)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return Told("later", "unreadable")
        return Told("later", why)


def _calls(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Positions of rows that go in one call: of one module, in their order, at most so many."""
    by_module: dict[tuple[str, str], list[int]] = {}
    for position, row in enumerate(rows):
        by_module.setdefault((row.module, row.key), []).append(position)
    for positions in by_module.values():
        for first in range(0, len(positions), ROWS_PER_CALL):
            yield positions[first : first + ROWS_PER_CALL]


def _later(code: str | None) -> Told:
    return Told("later", code or "unreadable", set_up=code in ABOUT_US)


def _code(said: _Said) -> str | None:
    """What was said of the call, or of its first row or tag."""
    if said.code is not None:
        return said.code
    if said.data:
        return said.data[0].code
    refused = said.tags[0] if isinstance(said.tags, list) and said.tags else None
    return str(refused["code"]) if isinstance(refused, dict) and "code" in refused else None
