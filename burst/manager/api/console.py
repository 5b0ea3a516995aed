"""The console's web pages: what the browser of an artist is given, and what it may do with it.

A page is a shell without a word about the farm; what it shows is asked for by its own scripts
over the artists' API, with the token where there is one. Templates, scripts and style are in
``burst/manager/console``. Served by the console listener only, behind its guard.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePosixPath

import jinja2
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import burst
from burst.errors import NotFound
from burst.protocol.messages import API

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        # Previews are asked for by script, for an <img> can't show the token.
        "img-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # Names of jobs and files are strangers' words: no script here may make markup of text.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Content-Security-Policy of every answer: what this listener serves is all a page may load."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    # A foreign page may ask for a preview as an image, without an Origin that tells. It gets none.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SafeAnswers:
    """Tells browsers with every answer what it may be used for."""

    def __init__(self, app: ASGIApp) -> None:
        """Add headers to what ``app`` answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_safely)


def console_routes() -> APIRouter:
    """Return the routes of the pages and of what they are made of."""
    router = APIRouter(include_in_schema=False)
    home = files("burst.manager").joinpath("console")
    pages = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: home.joinpath("templates", name).read_text("utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    pages.globals |= {"api": API, "version": burst.__version__}
    parts = {
        part.name: part.read_bytes()
        for part in home.joinpath("static").iterdir()
        if PurePosixPath(part.name).suffix in _CONTENT_TYPES
    }

    @router.get("/")
    async def show_farm() -> Response:
        return HTMLResponse(pages.get_template("farm.html").render())

    @router.get("/jobs/{job_id}")
    async def show_job(job_id: str) -> Response:
        return HTMLResponse(pages.get_template("job.html").render(job_id=job_id))

    @router.get("/console/{name}")
    async def show_part(name: str) -> Response:
        if name not in parts:
            raise NotFound(f"the console has no {name}")
        # Asked for anew by every page, so that one of a new version has no script of the old.
        return Response(
            parts[name],
            media_type=_CONTENT_TYPES[PurePosixPath(name).suffix],
            headers={"Cache-Control": "no-cache"},
        )

    return router
