"""The routes of the page, as a Starlette application. Every failure is JSON with one line under "error"."""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmark.errors import CssBenchError, UsageError
from benchmark.leaderboard.page_templates import page_templates
from benchmark.serve.service import LONGEST_TEXT, Service
from benchmark.serve.upload import MOST_BYTES

LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""The names under which this machine calls itself."""

IMAGE_TYPES = ("image/jpeg", "image/png")

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_KEPT = {"cache-control": "private, max-age=86400"}
"""Of pictures, whose address has the time at which the server was started: another one may show other images."""

Answer = Callable[[Service, Request], Any]


def make_app(service: Service, *, hosts: Sequence[str] = LOCAL) -> Starlette:
    """Make the application.

    Args:
        hosts: the names in a request's Host header that are answered, "*" for any. A page of somebody else's whose
            name was made to lead to this machine is refused by it.
    """
    routes = [
        Route("/", _page(service)),
        *(
            Route(f"/{name}", _file(name, kind))
            for name, kind in (("style.css", "text/css"), ("page.js", "text/javascript"))
        ),
        Route("/picture/{row:int}.webp", _threaded(service, _picture)),
        Route("/api/images", _threaded(service, _images)),
        Route("/api/images/{row:int}", _threaded(service, _image)),
        Route("/api/complete", _threaded(service, _complete)),
        Route("/api/search", _threaded(service, _search), methods=["GET"]),
        Route("/api/search", _search_upload(service), methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {
        CssBenchError: _failed,
        HTTPException: lambda _, error: _error(error.status_code, error.detail, error.headers),
        Exception: lambda _, error: _error(500, f"unexpected {type(error).__name__}: see the terminal"),
    }
    middleware = [
        Middleware(_WithHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
    ]
    return Starlette(routes=routes, exception_handlers=handlers, middleware=middleware)


def _page(service: Service) -> Callable[[Request], Awaitable[Response]]:
    template = page_templates("benchmark.serve").get_template("index.html.jinja")
    html = template.render(
        composers=sorted(service.composers),
        first=service.first,
        second=service.composers[1] if len(service.composers) == 2 else "",
        task=service.task,
        images=len(service.gallery),
        started=f"{time.time_ns():x}",
        most_bytes=MOST_BYTES,
        image_types=IMAGE_TYPES,
        longest_text=LONGEST_TEXT,
    )

    async def answer(_: Request) -> Response:
        return HTMLResponse(html)

    return answer


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = (files("benchmark.serve") / "templates" / name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _threaded(service: Service, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Answer in a thread, so that a query does not hold up pictures."""

    async def answered(request: Request) -> Response:
        found = await run_in_threadpool(answer, service, request)
        return found if isinstance(found, Response) else JSONResponse(found)

    return answered


def _picture(service: Service, request: Request) -> Response:
    content = service.picture(request.path_params["row"], of_query=request.query_params.get("of") == "query")
    return Response(content, media_type="image/webp", headers=_KEPT)


def _images(service: Service, request: Request) -> Any:
    return service.images(_number(request, "seed", 0), _number(request, "count", 12))


def _image(service: Service, request: Request) -> Any:
    return service.describe(request.path_params["row"])


def _complete(service: Service, request: Request) -> Any:
    return service.complete(request.query_params.get("text", ""))._asdict()


def _search(service: Service, request: Request) -> Any:
    return _answer(service, request, _number(request, "image"))


def _search_upload(service: Service) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # A form of another site cannot send these types without asking first, and nothing here says yes to that.
        if request.headers.get("content-type", "").partition(";")[0] not in IMAGE_TYPES:
            raise HTTPException(415, f"expected an image as {' or '.join(IMAGE_TYPES)}")
        content = await _body(request)
        return JSONResponse(await run_in_threadpool(_answer, service, request, content))

    return answer


def _answer(service: Service, request: Request, image: int | bytes) -> dict[str, Any]:
    composer, text = request.query_params.get("composer", service.first), request.query_params.get("text", "")
    return service.answer(composer, image, text, _number(request, "k", 12))


async def _body(request: Request) -> bytes:
    """Read what was sent, and stop as soon as it is too much, whatever its header says."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"the image has more than {MOST_BYTES // 2**20} MB; make it smaller")
    return bytes(content)


def _number(request: Request, name: str, default: int | None = None) -> int:
    value = request.query_params.get(name)
    if value is None and default is not None:
        return default
    if value is None or not re.fullmatch(r"[0-9]{1,9}", value):
        raise UsageError(f"{name}: expected a number from 0, got {(value or 'nothing')[:40]!r}")
    return int(value)


async def _failed(_: Request, error: Exception) -> Response:
    """Word an error of the command line for the page: there are no options here."""
    message = re.sub(r"^--(\w+)", r"\1", str(error))
    return _error(400 if isinstance(error, UsageError) else 500, message)


def _error(status: int, message: str, headers: Any = None) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=headers)


class _WithHeaders:
    """Add the headers that every answer has, unless it has its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in more if pair[0] not in given)]
            await send(message)

        await self._app(scope, receive, sending)
