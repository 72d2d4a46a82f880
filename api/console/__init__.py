"""Serves the console at ``/``: a web page that attributes a message and shows charts."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, request

#: The file that ``/`` serves.
PAGE = "index.html"
#: All files of the console, with their types. No other file is served.
FILES = {
    PAGE: "text/html",
    "console.css": "text/css",
    "icon.svg": "image/svg+xml",
    "alerts.js": "text/javascript",
    "api_client.js": "text/javascript",
    "attribute.js": "text/javascript",
    "chart.js": "text/javascript",
    "dom.js": "text/javascript",
    "figures.js": "text/javascript",
    "format.js": "text/javascript",
    "main.js": "text/javascript",
}
#: URL paths of the files. The files need no API key, but the page's requests need one.
PATHS = ("/", *(f"/console/{name}" for name in FILES if name != PAGE))

#: The browser runs no inline script and loads nothing from other sites, whatever a message holds.
POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_FOLDER = Path(__file__).parent
#: The folder of the alerts' runbooks. An installed package does not have this folder.
RUNBOOKS = _FOLDER.parents[1] / "alerting" / "runbooks"


def blueprint() -> Blueprint:
    """Reads all files of the console, and returns the Flask blueprint that serves them."""
    routes = Blueprint("console", __name__)
    contents = {name: (_FOLDER / name).read_bytes() for name in FILES}
    runbooks = {path.name: path.read_bytes() for path in RUNBOOKS.glob("*.md")}

    @routes.get("/")
    def page() -> Response:
        return _response(contents[PAGE], FILES[PAGE])

    @routes.get("/console/<name>")
    def file(name: str) -> Response:
        if name == PAGE or name not in contents:
            abort(404)
        return _response(contents[name], FILES[name])

    @routes.get("/alerting/runbooks/<name>")  # the path in the alerts' annotation `runbook_url`
    def runbook(name: str) -> Response:
        if name not in runbooks:
            abort(404)
        return _response(runbooks[name], "text/plain")  # browsers show plain text, but not Markdown

    return routes


def _response(content: bytes, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"  # browsers ask each time for a new version
    response.add_etag()
    response.make_conditional(request)
    response.headers.pop("Date", None)  # the server adds this header
    return response
