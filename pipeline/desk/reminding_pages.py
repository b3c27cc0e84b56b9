"""What people open about reminders: today, promises, one customer's contacts; and the streams that keep them current."""

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from jinja2 import Environment

from pipeline.desk.fragments import Fragments
from pipeline.desk.live import Parts, Streams
from pipeline.desk.pages import LanguageOf, page_of
from pipeline.desk.reminding_fragments import RemindingFragments
from pipeline.desk.reminding_wording import name_of
from pipeline.desk.text import Language
from pipeline.desk.wording import Wording


def create_reminding_pages(
    templates: Environment,
    told: RemindingFragments,
    fragments: Fragments,
    wordings: Mapping[Language, Wording],
    streams: Streams,
) -> APIRouter:
    """Routes ``/reminders``, ``/promises``, ``/customers/{id}``, and ``/live-…`` beside each."""
    router = APIRouter(include_in_schema=False)
    page = partial(page_of, templates, wordings, fragments)

    async def room() -> None:
        if streams.full:
            raise HTTPException(503, "too many pages are open", headers={"Retry-After": "10"})

    async def stream(language: Language, render: Callable[[], str]) -> AsyncIterator[ServerSentEvent]:
        parts: Parts = {"link": partial(fragments.link, language), "told": render}
        async for event in streams.pages(parts, None):
            yield event

    @router.get("/reminders")
    async def reminders(request: Request, language: LanguageOf) -> HTMLResponse:
        values = {"told": told.reminders(language), "live": "/live-reminders", "heading": "reminders_title"}
        return page("told.html", language, request, values)

    @router.get("/promises")
    async def promises(request: Request, language: LanguageOf) -> HTMLResponse:
        values = {"told": told.promises(language), "live": "/live-promises", "heading": "promises_title"}
        return page("told.html", language, request, values)

    @router.get("/customers/{customer:path}")
    async def one_customer(customer: str, request: Request, language: LanguageOf) -> HTMLResponse:
        if not told.knows(customer):
            missing = page("missing_customer.html", language, request, {"kept": told.customers_kept()})
            missing.status_code = 404
            return missing
        live = f"/live-customers/{quote(customer, safe='')}"
        values = {"told": told.customer(customer, language), "live": live, "customer": name_of(customer)}
        return page("customer.html", language, request, values)

    @router.get("/live-reminders", response_class=EventSourceResponse, dependencies=[Depends(room)])
    async def live_reminders(language: LanguageOf) -> AsyncIterator[ServerSentEvent]:
        async for event in stream(language, partial(told.reminders, language)):
            yield event

    @router.get("/live-promises", response_class=EventSourceResponse, dependencies=[Depends(room)])
    async def live_promises(language: LanguageOf) -> AsyncIterator[ServerSentEvent]:
        async for event in stream(language, partial(told.promises, language)):
            yield event

    @router.get("/live-customers/{customer:path}", response_class=EventSourceResponse, dependencies=[Depends(room)])
    async def live_customer(customer: str, language: LanguageOf) -> AsyncIterator[ServerSentEvent]:
        async for event in stream(language, partial(told.customer, customer, language)):
            yield event

    return router
