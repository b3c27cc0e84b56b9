"""A server like Fxiaoke's open API, from its public documentation: unverified, since no interface description is published.

https://developer.fxiaoke.com/openapi_v2/object/CustomCapabilities/CustomObj/ and …/start/guide/codes.html. It is strict
where the documentation is plain: who asks stands in the body, objects that end in ``__c`` have paths of their own, the
object's name stands beside a query's conditions and inside the data of a row, an update names ``_id``.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

APP = {"appId": "FSAID_tests", "appSecret": "app-secret-of-tests", "permanentCode": "permanent-code-of-tests"}
CORP = "FSCID_tests"
USER = "FSUID_tests"


class FxiaokeMock:
    """``rows``: object → id → fields. ``codes``: errorCode that the next calls of an action answer with, one after the
    other. ``lost``: actions that are done but not answered."""

    def __init__(self) -> None:
        self.url = ""
        self.violations: list[str] = []
        self.calls: list[str] = []
        self.grants = 0
        self.token: str | None = None
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.codes: dict[str, list[int]] = {}
        self.lost: set[str] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FxiaokeMock"]:
        app = web.Application()
        app.router.add_post("/cgi/corpAccessToken/get/V2", self._grant)
        for prefix in ("/cgi/crm/v2/data", "/cgi/crm/custom/v2/data"):
            app.router.add_post(prefix + "/{action}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _grant(self, request: web.Request) -> web.Response:
        self.grants += 1
        if await request.json() != APP:
            return self._code(10006)
        self.token = f"token-{self.grants}"
        granted = {"corpAccessToken": self.token, "corpId": CORP, "expiresIn": 7200}
        return web.json_response({"errorCode": 0, "errorMessage": "success", **granted})

    async def _handle(self, request: web.Request) -> web.Response:
        action, body = request.match_info["action"], json.loads(await request.text())
        self.calls.append(action)
        if (body.get("corpAccessToken"), body.get("corpId")) != (self.token, CORP):
            return self._code(20016)
        if body.get("currentOpenUserId") != USER:
            return self._code(20012)
        if self.codes.get(action):
            return self._code(self.codes[action].pop(0))
        data = body["data"]
        name = data["dataObjectApiName"] if action == "query" else data["object_data"]["dataObjectApiName"]
        if name.endswith("__c") != ("/custom/" in request.path):
            self.violations.append(f"{request.path} is not for {name}")
        answer = {"query": self._query, "create": self._create, "update": self._update}[action](name, data)
        if action in self.lost:
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _query(self, name: str, data: dict[str, Any]) -> web.Response:
        asked = data["search_query_info"]
        (condition,) = asked["filters"]
        if condition["operator"] != "EQ" or not 1 <= asked["limit"] <= 100 or asked["offset"] % asked["limit"]:
            self.violations.append(f"not a query: {asked}")
        found = [
            {"_id": row_id, **row}
            for row_id, row in self.rows.get(name, {}).items()
            if row.get(condition["field_name"]) in condition["field_values"]
        ]
        page = found[: asked["limit"]]
        return self._code(0, data={"total": len(found), "offset": 0, "limit": asked["limit"], "dataList": page})

    def _create(self, name: str, data: dict[str, Any]) -> web.Response:
        row = dict(data["object_data"])
        if row.pop("dataObjectApiName") != name or row.get("owner") != [USER] or "_id" in row:
            self.violations.append(f"not a new row: {row}")
        table = self.rows.setdefault(name, {})
        row_id = f"{name}-{len(table)}"
        table[row_id] = row
        return self._code(0) if name.endswith("__c") else self._code(0, dataId=row_id)

    def _update(self, name: str, data: dict[str, Any]) -> web.Response:
        row = dict(data["object_data"])
        row.pop("dataObjectApiName")
        table = self.rows.get(name, {})
        row_id = row.pop("_id")
        if row_id not in table:
            return self._code(320002500)
        table[row_id] |= row
        return self._code(0)

    def _code(self, code: int, **more: Any) -> web.Response:
        """HTTP status 200, whatever is wrong."""
        message = "OK" if code == 0 else "错误"
        return web.json_response({"traceId": "E-O.tests", "errorCode": code, "errorMessage": message, **more})
