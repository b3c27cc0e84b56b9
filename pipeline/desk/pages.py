"""What people open: the desk, one alert, and the streams that keep both current.

Read-only: a page shows what the projection holds and takes no input but the language.
"""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from jinja2 import Environment

from pipeline.desk.fragments import Fragments
from pipeline.desk.live import Parts, Streams
from pipeline.desk.projection import ALERTS_KEPT, Projection
from pipeline.desk.text import Language, choose_language
from pipeline.desk.wording import Wording

LANGUAGE_COOKIE = "cardwatch_language"
YEAR_S = 365 * 24 * 3600


def language_of(request: Request) -> Language:
    return choose_language(
        request.query_params.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language", ""),
    )


LanguageOf = Annotated[Language, Depends(language_of)]


def page_of(
    templates: Environment,
    wordings: Mapping[Language, Wording],
    fragments: Fragments,
    template: str,
    language: Language,
    request: Request,
    values: Mapping[str, str],
) -> HTMLResponse:
    """A whole page; a language that was asked for is remembered."""
    html = templates.get_template(template).render(
        t=wordings[language].text, language=language, path=request.url.path, link=fragments.link(language), **values
    )
    response = HTMLResponse(html, headers={"Content-Language": language, "Vary": "Accept-Language, Cookie"})
    if request.query_params.get("lang") == language:
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, samesite="strict", httponly=True)
    return response


def create_pages(
    templates: Environment,
    fragments: Fragments,
    wordings: Mapping[Language, Wording],
    projection: Projection,
    streams: Streams,
) -> APIRouter:
    """Routes ``/``, ``/alerts/{id}``, and ``/live`` beside each."""
    router = APIRouter(include_in_schema=False)

    page = partial(page_of, templates, wordings, fragments)

    async def room() -> None:
        if streams.full:
            raise HTTPException(503, "too many pages are open", headers={"Retry-After": "10"})

    @router.get("/")
    async def desk(request: Request, language: LanguageOf) -> HTMLResponse:
        parts = {
            "rate": fragments.rate(language),
            "figures": fragments.figures(language),
            "alerts": fragments.alerts(language),
        }
        return page("desk.html", language, request, {**parts, "chart": fragments.chart()})

    @router.get("/alerts/{transaction_id:path}")
    async def one_alert(transaction_id: str, request: Request, language: LanguageOf) -> HTMLResponse:
        alert = projection.alert(transaction_id)
        if alert is None:
            missing = page("missing.html", language, request, {"kept": f"{ALERTS_KEPT:,}"})
            missing.status_code = 404
            return missing
        values = {"detail": fragments.detail(alert, language), "transaction_id": transaction_id}
        return page("alert.html", language, request, values)

    @router.get("/live", response_class=EventSourceResponse, dependencies=[Depends(room)])
    async def live(language: LanguageOf) -> AsyncIterator[ServerSentEvent]:
        async for event in streams.pages(_desk_parts(fragments, language), fragments.chart):
            yield event

    @router.get("/live/{transaction_id:path}", response_class=EventSourceResponse, dependencies=[Depends(room)])
    async def live_alert(transaction_id: str, language: LanguageOf) -> AsyncIterator[ServerSentEvent]:
        alert = projection.alert(transaction_id)
        parts = {"link": lambda: fragments.link(language)}
        if alert is not None:
            parts["detail"] = lambda: fragments.detail(alert, language)
        async for event in streams.pages(parts, None):
            yield event

    return router


def _desk_parts(fragments: Fragments, language: Language) -> Parts:
    return {
        "link": partial(fragments.link, language),
        "rate": partial(fragments.rate, language),
        "figures": partial(fragments.figures, language),
        "alerts": partial(fragments.alerts, language),
    }
