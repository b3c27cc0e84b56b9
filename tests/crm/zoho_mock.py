"""A server like Zoho CRM's, strict as its published interface is: see ``zoho_openapi_excerpt.json``.

Every request is held to it: an operation, field, type or length it does not have is a violation, answered with 400 and
kept in `violations`, which a test demands to be empty. What the document does not tell (tokens, the code of a token that
is over, limits) is from Zoho's pages, and so as unverified as any mock.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

INTERFACE = json.loads((Path(__file__).parent / "zoho_openapi_excerpt.json").read_text(encoding="utf-8"))
OPERATIONS: dict[str, Any] = INTERFACE["operations"]
GRANT = {
    "refresh_token": "1000.refresh-token-of-tests",
    "client_id": "1000.CLIENT",
    "client_secret": "client-secret-of-tests",
    "grant_type": "refresh_token",
}
TYPES = {"array": list, "object": dict, "string": str, "boolean": bool}


class Violation(Exception):
    """A request the published interface does not allow."""


def check(name: str, fact: dict[str, Any], value: Any) -> None:
    if type(value) is not TYPES[fact["type"]]:
        raise Violation(f"{name} must be of type {fact['type']}")
    if isinstance(value, list | str):
        units = "Items" if isinstance(value, list) else "Length"
        if not fact.get(f"min{units}", 0) <= len(value) <= fact.get(f"max{units}", len(value)):
            raise Violation(f"{name} is too short or too long")
    if "enum" in fact and value not in fact["enum"]:
        raise Violation(f"{name} has no value {value!r}")
    if isinstance(value, list):
        for item in value:
            check(f"{name}[]", fact["items"], item)
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in fact["properties"]:
                check(f"{name}.{key}", fact["properties"][key], inner)
            elif not fact["additionalProperties"]:
                raise Violation(f"{name} has no field {key}")


class ZohoMock:
    """``rows``: module → unique value → fields with ``id`` and ``tags``. ``refused``: value of a key → the error item it
    is answered with. ``whole``: a value of a key
    for which the call is refused as a whole. ``fault``: what the next calls do: None, "429", "500", "403", "404", "cut" (done, but the
    connection ends). ``expire``: the present token is over."""

    def __init__(self) -> None:
        self.url = ""
        self.violations: list[str] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.grants = 0
        self.token: str | None = None
        self.refuses_grants = False
        self.fault: str | None = None
        self.retry_after: str | None = None
        self.asked = 0
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.refused: dict[str, dict[str, Any]] = {}
        self.whole: str | None = None

    def expire(self) -> None:
        self.token = "1000.another"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ZohoMock"]:
        app = web.Application()
        app.router.add_post("/oauth/v2/token", self._grant)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _grant(self, request: web.Request) -> web.StreamResponse:
        self.grants += 1
        if self.refuses_grants or dict(request.query) != GRANT:
            return web.json_response({"error": "invalid_code"})  # with status 200, as Zoho does
        self.token = f"1000.access-{self.grants}"
        return web.json_response(
            {"access_token": self.token, "api_domain": self.url, "token_type": "Bearer", "expires_in": 3600}
        )

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if request.headers.get("Authorization") != f"Zoho-oauthtoken {self.token}":
            return self._error(401, "INVALID_TOKEN")
        faults = {
            "429": "TOO_MANY_REQUESTS",
            "500": "INTERNAL_ERROR",
            "403": "NO_PERMISSION",
            "404": "INVALID_URL_PATTERN",
        }
        if self.fault in faults:
            refused = self._error(int(self.fault), faults[self.fault])
            if self.retry_after is not None:
                refused.headers["Retry-After"] = self.retry_after
            return refused
        try:
            answer = self._do(request, json.loads(await request.text()))
        except Violation as violation:
            self.violations.append(f"{request.method} {request.path}: {violation}")
            return self._error(400, "INVALID_DATA")
        if self.fault == "cut":
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _do(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        for name, operation in OPERATIONS.items():
            found = re.fullmatch(operation["path"].replace("{module}", "([^/]+)"), request.path)
            if not found or operation["method"] != request.method:
                continue
            if len(found[1]) > operation["module"]["maxLength"]:
                raise Violation("the module's name is too long")
            if missing := set(operation["required"]) - body.keys():
                raise Violation(f"missing: {missing}")
            for field, value in body.items():
                if field not in operation["body"]:
                    raise Violation(f"there is no field {field}")
                check(field, operation["body"][field], value)
            self.calls.append((name, found[1], body))
            return self._upsert(found[1], body) if name == "upsertRecords" else self._tag(name, found[1], body)
        raise Violation("there is no such operation")

    def _upsert(self, module: str, body: dict[str, Any]) -> web.StreamResponse:
        (key,) = body["duplicate_check_fields"]
        if self.whole in [row[key] for row in body["data"]]:
            return self._error(400, "INVALID_DATA")
        said = []
        for row in body["data"]:
            if (error := self.refused.get(row[key])) is not None:
                said.append(error)
                continue
            table = self.rows.setdefault(module, {})
            action = "update" if row[key] in table else "insert"
            fresh = {"id": f"4150868{len(self.rows):03}{len(table):09}", "tags": []}
            table[row[key]] = {**table.get(row[key], fresh), **row}
            said.append(
                {
                    "code": "SUCCESS",
                    "duplicate_field": key if action == "update" else None,
                    "action": action,
                    "details": {"id": table[row[key]]["id"]},
                    "message": "record added" if action == "insert" else "record updated",
                    "status": "success",
                }
            )
        successes = sum(item["code"] == "SUCCESS" for item in said)
        word = "all" if successes == len(said) else "some" if successes else "none"
        return web.json_response({"data": said}, status=OPERATIONS["upsertRecords"]["statuses"][word])

    def _tag(self, name: str, module: str, body: dict[str, Any]) -> web.StreamResponse:
        (wanted,) = json.loads(body["ids"])
        (row,) = (row for row in self.rows[module].values() if row["id"] == wanted)
        names = [tag["name"] for tag in body["tags"]]
        if name == "postRemoveTags":
            row["tags"] = [tag for tag in row["tags"] if tag not in names]
        else:
            row["tags"] = names if body.get("over_write") else list(dict.fromkeys([*row["tags"], *names]))
        details = {"id": wanted, "tags": [{"name": tag} for tag in row["tags"]]}
        item = {"code": "SUCCESS", "details": details, "message": "tags updated successfully", "status": "success"}
        return web.json_response({"data": [item], "locked_count": "0"})

    def _error(self, status: int, code: str) -> web.StreamResponse:
        return web.json_response({"code": code, "details": {}, "message": "…", "status": "error"}, status=status)

    def upserts(self) -> list[list[str]]:
        """The values of the keys of each upsert."""
        return [
            [row[body["duplicate_check_fields"][0]] for row in body["data"]]
            for name, _, body in self.calls
            if name == "upsertRecords"
        ]
