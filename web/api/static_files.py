"""The page at `/`: the files below web/static/, read once at the start and served as they are.

Invariant: a request is looked up among the names that were found in the package, never in the file
system, so no path leads anywhere else; no file carries inline code or style, which the policy below
would reject. The page is a client like any other: what it does, it does through the API.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from quart import Quart
from quart import Response as QuartResponse
from quart import request as quart_request

from headway.model.problem import Refusal
from web.api.response import refused

STATIC = Path(__file__).parent.parent / "static"
INDEX = "index.html"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No string may become markup or code: browsers that know this refuse innerHTML.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for again each time, and answered with 304: a new server shows its own page at once.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the page, and its response headers."""

    body: bytes
    headers: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> "StaticFile":
        """Read the file as it is now.

        Raises:
            KeyError: its suffix has no media type.
        """
        body = path.read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return cls(body, {"Content-Type": MEDIA_TYPES[path.suffix], "ETag": etag, **HEADERS})

    def response(self, if_none_match: str | None) -> QuartResponse:
        """Return the file, or 304 if the client has it (RFC 9110, 13.1.2)."""
        tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
        if "*" in tags or self.headers["ETag"] in tags:
            kept = {name: text for name, text in self.headers.items() if name != "Content-Type"}
            response = QuartResponse(b"", status=304, headers=kept)
            del response.headers["Content-Length"]  # it would be that of the whole file
            return response
        return QuartResponse(self.body, headers=self.headers)


def static_files() -> dict[str, StaticFile]:
    """Read every file of the page; keys are paths relative to web/static, like `core/dom.js`."""
    paths = sorted(path for path in STATIC.rglob("*") if path.is_file())
    return {path.relative_to(STATIC).as_posix(): StaticFile.read(path) for path in paths}


def mount_page(app: Quart) -> None:
    """Serve the page at `/`, and its files below `/static/`."""
    files = static_files()

    async def page(name: str = INDEX) -> QuartResponse:
        if (found := files.get(name)) is None:
            done = refused(Refusal("not_found", f"the page has no file {name!r}"))
            return QuartResponse(done.body, status=done.status, headers=done.headers)
        return found.response(quart_request.headers.get("If-None-Match"))

    app.add_url_rule("/", "page", page, methods=["GET"])
    app.add_url_rule("/static/<path:name>", "static", page, methods=["GET"])
