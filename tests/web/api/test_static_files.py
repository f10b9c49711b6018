"""The page's files: what is served at `/` and `/static/`, with which headers, and nothing else."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from web.api import static_files as page
from web.app import make_app
from web.context import Context

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
LINES_MAX = 300
STATIC = page.STATIC
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
MODULES = [path for path in FILES if path.suffix == ".js"]
TEXTS = STATIC / "i18n"


def name_of(path: Path) -> str:
    """The path below web/static, as in a URL."""
    return path.relative_to(STATIC).as_posix()


@pytest.fixture
def client(context: Context) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=make_app(context))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", verify=False)


async def test_the_page_is_at_the_root(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.content == (STATIC / "index.html").read_bytes()
    assert response.headers["content-type"] == TYPES[".html"]


async def test_every_file_is_served_as_what_it_is(client: httpx.AsyncClient) -> None:
    for path in FILES:
        response = await client.get(f"/static/{name_of(path)}")
        assert response.status_code == 200
        assert response.content == path.read_bytes()
        assert response.headers["content-type"] == TYPES[path.suffix]
        assert response.headers["cache-control"] == "no-cache"


async def test_the_policy_allows_only_our_own_files(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/")).headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for source in ("script-src", "style-src", "img-src", "connect-src"):
        assert rules[source] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy


async def test_a_client_that_has_it_gets_304(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/main.js")
    for tags in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = await client.get("/static/main.js", headers={"If-None-Match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    changed = await client.get("/static/main.js", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


async def test_no_other_path_is_served(client: httpx.AsyncClient) -> None:
    for path in (
        "/static/",
        "/static/no-such.js",
        "/static/%2e%2e/api/static_files.py",
        "/static/..%2fapi/static_files.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/main.js/",
        "/static/core",
        "/static/core/",
        "/static/core/no-such.js",
        "/static/dom.js",
        "/static/core//dom.js",
        "/static/core/%2e%2e/main.js",
        "/static/core/..%2fmain.js",
        "/static/core/%2e%2e/%2e%2e/api/static_files.py",
        "/static/core%2fdom.js%00",
        "/static/core\\dom.js",
        "/static/main.js%00.css",
        "/index.html",
    ):
        request = client.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        response = await client.send(request)
        assert response.status_code == 404, path
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)],
)
async def test_the_guard_stands_before_it(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await client.get("/", headers=headers)).status_code == status


async def test_it_may_only_be_read(client: httpx.AsyncClient) -> None:
    response = await client.post("/")
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert (await client.head("/")).status_code == 200


def test_a_file_of_another_kind_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "notes.xyz").touch()
    monkeypatch.setattr(page, "STATIC", tmp_path)
    with pytest.raises(KeyError):
        page.static_files()


# ---- what the files hold -------------------------------------------------------------------------


def test_no_code_is_inline_and_no_file_comes_from_elsewhere() -> None:
    html = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=|javascript:", html)
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    for link in re.findall(r'(?:src|href)="([^"]+)"', html):
        assert link == "/docs" or (STATIC / link.removeprefix("/static/")).is_file()
    for path in FILES:
        found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
        assert set(found) <= {"http://www.w3.org"}, path.name
    for path in STATIC.rglob("*.css"):
        assert not re.search(r"@import|url\(", path.read_text()), path.name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_small_and_begins_with_its_purpose(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("// ")
    # Texts are a table, not a program.
    assert len(lines) <= LINES_MAX or path in (TEXTS / "en.js", TEXTS / "ko.js")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_makes_markup_of_text(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(forbidden, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_a_module_imports_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for names, module in re.findall(
        r"^import (?:\{([^}]+)\} from )?\"(\.\.?/[\w/.-]+\.js)\"", text, re.M
    ):
        exported = (path.parent / module).resolve(strict=True).read_text(encoding="utf-8")
        for name in filter(None, (name.strip() for name in names.split(","))):
            declared = rf"^export (?:async )?(?:const|class|function\*?) {re.escape(name)}\b"
            assert re.search(declared, exported, re.M), f"{module} has no {name}"
            assert len(re.findall(rf"\b{re.escape(name)}\b", text)) > 1, f"{name} is not used"


# ---- texts --------------------------------------------------------------------------------------


def texts(language: str) -> dict[str, str]:
    """key → the source of its text."""
    source = (TEXTS / f"{language}.js").read_text(encoding="utf-8")
    entries = re.findall(r'^  "([^"]+)": ((?:\{.*?\}|".*?")),$', source, re.M | re.S)
    assert len(entries) == len(re.findall(r'^  "', source, re.M))
    return dict(entries)


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    used: set[str] = set()
    patterns: list[str] = []
    for path in MODULES:
        if path in (TEXTS / "en.js", TEXTS / "ko.js"):
            continue
        source = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'\b(?:t|has)\(\s*"([^"]+)"', source))
        patterns += re.findall(r"`([a-z]+\.)\$\{", source)
        used |= set(re.findall(r'"([a-zA-Z]+\.[a-zA-Z_]+)"', source)) & set(texts("en"))
    missing = {key for key in used if key not in texts("en")}
    assert not missing
    unused = {key for key in texts("en") if key not in used and not key.startswith(tuple(patterns))}
    assert not unused


def test_korean_is_korean() -> None:
    for key, text in texts("ko").items():
        words = re.sub(r"\{\w+\}|headway|Job|API|ID|Enter|G를|HTTP|JSON|SIG[A-Z]+", "", text)
        if re.search(r"[A-Za-z]{3,}", re.sub(r"\bother\b", "", words)):
            pytest.fail(f"{key}: {text}")


def test_the_policy_is_on_every_file() -> None:
    files: dict[str, Any] = page.static_files()
    assert {one.headers["Content-Security-Policy"] for one in files.values()} == {page.POLICY}
