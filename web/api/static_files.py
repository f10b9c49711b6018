"""The page at `/`: the files of web/static/, read once at the start and served as they are.

Invariant: only a name that was found in the package is served, so no path leads anywhere else; no
file carries inline code or style, which the policy below would refuse. The page is a client like
any other: what it does, it does through the API.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from headway.model.problem import Refusal
from web.api.response import Response
from web.api.routes import Header, Routes

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

Tags = Annotated[str | None, Header("If-None-Match", "Which versions the client has.")]


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

    def response(self, if_none_match: str | None) -> Response[None]:
        """Return the file, or 304 if the client has it (RFC 9110, 13.1.2)."""
        tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
        if "*" in tags or self.headers["ETag"] in tags:
            kept = {name: text for name, text in self.headers.items() if name != "Content-Type"}
            return Response(status=304, headers=kept)
        return Response(body=self.body, headers=dict(self.headers))


def static_files() -> dict[str, StaticFile]:
    """Read every file of the page; keys are paths relative to web/static, like `core/dom.js`."""
    paths = sorted(path for path in STATIC.rglob("*") if path.is_file())
    return {path.relative_to(STATIC).as_posix(): StaticFile.read(path) for path in paths}


class Page:
    """The operations that serve the page. They stand in no document of the API."""

    @cached_property
    def files(self) -> dict[str, StaticFile]:
        """The files, read when they are first asked for."""
        return static_files()

    def routes(self) -> Routes:
        """The page at `/`, and its files below `/static/`."""
        routes = Routes()
        common: dict[str, Any] = {"tag": "page", "media": tuple(MEDIA_TYPES.values())}

        @routes.add("GET", "/", summary="The page", **common)
        async def page(tags: Tags = None) -> Response[None]:
            return self.files[INDEX].response(tags)

        @routes.add("GET", "/static/{name}", summary="A file of the page", **common)
        async def file(name: str, tags: Tags = None) -> Response[None]:
            if (found := self.files.get(name)) is None:
                raise Refusal("not_found", f"the page has no file {name!r}")
            return found.response(tags)

        return routes
