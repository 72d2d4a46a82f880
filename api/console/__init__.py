"""``/``: the console, one page with a message to try and the figures as charts."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, request

PAGE = "index.html"
#: What the page is made of, and what each file is. Nothing else is served.
FILES = {
    PAGE: "text/html",
    "console.css": "text/css",
    "icon.svg": "image/svg+xml",
    "alerts.js": "text/javascript",
    "ask.js": "text/javascript",
    "attribute.js": "text/javascript",
    "chart.js": "text/javascript",
    "dom.js": "text/javascript",
    "figures.js": "text/javascript",
    "format.js": "text/javascript",
    "main.js": "text/javascript",
}
#: Where they are: these need no key. What the page asks for does.
PATHS = ("/", *(f"/console/{name}" for name in FILES if name != PAGE))

#: Nothing inline and nothing from elsewhere, whatever a message or a model's card may hold.
POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_FOLDER = Path(__file__).parent


def blueprint() -> Blueprint:
    """Return the page and its files, read now."""
    routes = Blueprint("console", __name__)
    contents = {name: (_FOLDER / name).read_bytes() for name in FILES}

    @routes.get("/")
    def page() -> Response:
        return _response(PAGE, contents[PAGE])

    @routes.get("/console/<name>")
    def file(name: str) -> Response:
        if name == PAGE or name not in contents:
            abort(404)
        return _response(name, contents[name])

    return routes


def _response(name: str, content: bytes) -> Response:
    response = Response(content, mimetype=FILES[name])
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"  # kept, and asked for again: is it still so?
    response.add_etag()
    response.make_conditional(request)
    response.headers.pop("Date", None)  # the server tells it
    return response
