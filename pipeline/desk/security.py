"""What every response carries, and which requests get one: the desk's browser-side locks.

The page runs scripts and styles from its own files only and asks no other host for anything; the one frame it may hold
is the telephony simulator's. A request under a foreign host name is refused: a page elsewhere that points its own name
at 127.0.0.1 (DNS rebinding) would otherwise read the alerts.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC_PATH = "/static/"
KEPT = "public, max-age=31536000, immutable"
"""For files whose address carries a hash of their content."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def content_security_policy(frame_origin: str | None) -> str:
    """No inline script or style, no foreign source; ``frame_origin`` alone may be framed."""
    frames = frame_origin or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            f"frame-src {frames}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


class Locks:
    """ASGI middleware. Pure ASGI, because a stream must pass through untouched."""

    def __init__(self, app: ASGIApp, frame_origin: str | None, host: str) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | {f"[{host}]" if ":" in host else host}
        self._headers = {
            "Content-Security-Policy": content_security_policy(frame_origin),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_locked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("Cache-Control", KEPT if scope["path"].startswith(STATIC_PATH) else "no-store")
            await send(message)

        if _name(Headers(scope=scope).get("host", "")) not in self._names:
            refusal = PlainTextResponse("The desk answers to localhost only.", status_code=421)
            await refusal(scope, receive, send_locked)
            return
        await self._app(scope, receive, send_locked)


def _name(host: str) -> str:
    """The host's name without its port; an IPv6 address keeps its brackets."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
