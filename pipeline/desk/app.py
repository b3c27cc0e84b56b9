"""The desk as a web application, put together: pages, API, files and locks around one projection."""

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from pipeline.core.decision import Reason
from pipeline.core.features import CATALOGUE
from pipeline.desk.api import create_api
from pipeline.desk.feed import Link
from pipeline.desk.fragments import Fragments, environment
from pipeline.desk.live import Streams
from pipeline.desk.pages import create_pages
from pipeline.desk.projection import Projection
from pipeline.desk.reminding_api import create_reminding_api
from pipeline.desk.reminding_fragments import RemindingFragments
from pipeline.desk.reminding_pages import create_reminding_pages
from pipeline.desk.security import STATIC_PATH, Locks
from pipeline.desk.settings import DeskSettings
from pipeline.desk.text import LANGUAGES
from pipeline.desk.wording import FeatureMeaning, Wording

STATIC = Path(__file__).parent / "static"


def create_desk(
    projection: Projection,
    settings: DeskSettings,
    words: Mapping[str, Callable[[Reason], str]],
    features: Sequence[FeatureMeaning] = CATALOGUE,
    link: Callable[[], Link] = lambda: Link.live,
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """``words``: language ("en", "zh-CN") → says a reason in it. ``features``: the catalogue of their meanings.
    ``link``: how the feed stands. ``app.state.streams.closing`` ends the open streams when set.

    Raises ValueError when a language has no words for reasons, or the bank's time zone is unknown."""
    zone = bank_zone(settings.bank_time_zone)
    missing = [language for language in LANGUAGES if language not in words]
    if missing:
        raise ValueError(f"no words for reasons in {', '.join(missing)}: the desk speaks {', '.join(LANGUAGES)}")
    wordings = {language: Wording(language, zone, words[language], settings.billing_currency) for language in LANGUAGES}
    templates = environment()
    templates.globals.update(
        version=_static_version(), zone=zone.key, phone_url=_phone_url(settings), languages=LANGUAGES
    )
    fragments = Fragments(templates, projection, wordings, features, link, now)
    streams = Streams()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        streams.closing.set()

    app = FastAPI(
        title="Cardwatch desk",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,  # both pages load their scripts from a CDN
        lifespan=lifespan,
    )
    app.state.streams = streams
    app.add_middleware(Locks, frame_origin=_origin(settings), host=settings.desk_host)
    app.mount(STATIC_PATH.rstrip("/"), StaticFiles(directory=STATIC))
    app.include_router(create_api(projection, link, now))
    app.include_router(create_reminding_api(projection.reminding, now))
    app.include_router(create_pages(templates, fragments, wordings, projection, streams))
    told = RemindingFragments(templates, projection.reminding, wordings, now)
    app.include_router(create_reminding_pages(templates, told, fragments, wordings, streams))

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def bank_zone(name: str) -> ZoneInfo:
    """Raises ValueError for a name this system does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(
            f"CARDWATCH_BANK_TIME_ZONE is {name!r}, which this system does not know: give an IANA name such as "
            "Asia/Shanghai, and install the system's tzdata package"
        ) from error


def _phone_url(settings: DeskSettings) -> str | None:
    return None if settings.desk_phone_url is None else f"{str(settings.desk_phone_url).rstrip('/')}/phone"


def _origin(settings: DeskSettings) -> str | None:
    url = settings.desk_phone_url
    return None if url is None else f"{url.scheme}://{url.host}:{url.port}"


def _static_version() -> str:
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
