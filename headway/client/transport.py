"""One HTTP connection to a headway server: asking again when that is safe, refusals, event streams.

Invariant: a request that may have been received is sent again only where it is marked `repeatable`;
one whose connection was refused was never received, and is always tried again. Every failure is one
of two: `ApiError` (the server said no: the table of `web/api/problem.py` read backwards) or
`ServerUnreachable` (nobody, or not headway, answered). What may be asked is in `client.py`.

Answers are read tolerantly: a field that a newer server adds is passed over.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from headway.model.problem import STATUS, Code, Fault, Problem, Refusal

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
"""Beyond the time that a request itself asks the server to wait."""
SILENCE_TIMEOUT_S = 60.0
"""An event stream with no heartbeat for this long is taken for dead and opened again."""
RETRY_DELAYS_S = (0.05, 0.2, 0.5)
RECONNECT_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""For a stream that has been open before: long enough for a server to restart."""
EVENT_BYTES_MAX = 8 * 1024 * 1024
"""A longer event is not headway's, and would fill the memory."""

A = TypeVar("A", bound=BaseModel)

_CODE_OF_STATUS: dict[int, Code] = {
    **{status: code for code, (status, _) in reversed(STATUS.items())},
    503: "unavailable",
}
"""For an answer that names no code itself, as a proxy in between may give it."""


class ApiError(Refusal):
    """The server refused: the `status` of HTTP, with `code`, `detail`, `faults` as it gave them."""

    def __init__(
        self,
        status: int,
        code: Code,
        detail: str,
        faults: tuple[Fault, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, detail, faults)
        self.status = status
        self.retry_after_s = retry_after_s


class ServerUnreachable(Exception):
    """No headway answered at `url`; the message is a sentence that says why."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no headway server answers at {url}: {reason}")
        self.url = url
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event of a stream.

    Two names are made on this side: `open`, at each connection and reconnection (what was missed
    in between has to be asked for), and `comment`, the heartbeat, which may carry an id.
    """

    name: str
    id: str | None = None
    data: str = ""


class Connection:
    """The transport under a `Client`. Not for several threads at once.

    Proxies of the environment are ignored: the server is on this machine, or named on purpose.
    Raises ValueError for a `url` that is not http or https.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = _checked(url)
        self.sleep = sleep
        self._http = httpx.Client(
            base_url=self.url,
            # Loading the certificate store takes 0.2 s, more than all the rest of a short command.
            verify=self.url.startswith("https:"),
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        """Close the sockets."""
        self._http.close()

    def ask(
        self,
        answer: type[A],
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float | None = 0,
        repeatable: bool = False,
    ) -> A:
        """Send one request, read its answer. `wait_s`: how long the server may take on purpose."""
        kind = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(
            method,
            path,
            params={key: value for key, value in (query or {}).items() if value is not None},
            content=None if body is None else _json(body),
            headers={"Accept": "application/json", **kind, **(headers or {})},
            timeout=_timeout(None if wait_s is None else ANSWER_TIMEOUT_S + wait_s),
        )
        response = self._send(request, repeatable=repeatable or method == "GET")
        try:
            return answer.model_validate_json(response.content, extra="ignore")
        except ValidationError:
            reason = f"what answers {method} {path} there is another program"
            raise ServerUnreachable(self.url, reason) from None

    def open(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to a GET, of which only the head has been read. To be closed."""
        request = self._http.build_request(
            "GET", path, headers=headers, timeout=_timeout(ANSWER_TIMEOUT_S)
        )
        return self._send(request, repeatable=True, stream=True)

    def pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """The body of such an answer as it comes."""
        try:
            yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, _reason(error)) from error

    def download(self, path: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The body of a GET in pieces, as they come."""
        with closing(self.open(path, headers)) as response:
            yield from self.pieces(response)

    def stream(
        self, path: str, query: Mapping[str, Any] | None = None
    ) -> Generator[ServerEvent, None, None]:
        """The events of a stream without end; when it is cut it goes on after the last id."""
        last_id: str | None = None
        opened, fruitless = False, 0
        while True:
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            request = self._http.build_request(
                "GET", path, params=query, headers=headers, timeout=_timeout(SILENCE_TIMEOUT_S)
            )
            response = self._send(request, repeatable=True, stream=True, restarting=opened)
            opened = True
            with closing(response):
                yield ServerEvent(name="open")
                try:
                    events = parse_events(split_lines(response.iter_bytes()))
                    for number, event in enumerate(events):
                        # A comment and an id are a greeting, and no proof that the stream lasts.
                        if event.name != "comment" or number > (event.id is not None):
                            fruitless = 0
                        last_id = event.id or last_id
                        yield event
                    reason = "it keeps closing the stream"
                except httpx.TransportError as error:
                    reason = _reason(error)
            if fruitless == len(RECONNECT_DELAYS_S):
                raise ServerUnreachable(self.url, reason)
            self.sleep(RECONNECT_DELAYS_S[fruitless])
            fruitless += 1

    def _send(
        self,
        request: httpx.Request,
        *,
        repeatable: bool,
        stream: bool = False,
        restarting: bool = False,
    ) -> httpx.Response:
        """The successful answer. `restarting`: the server was there, so be patient with it."""
        delays_s = iter(RECONNECT_DELAYS_S if restarting else RETRY_DELAYS_S)
        while True:
            delay_s = next(delays_s, None)
            try:
                response = self._http.send(request, stream=stream)
                if response.is_success:
                    return response
                with closing(response):
                    response.read()
            except httpx.TransportError as error:
                never_left = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if delay_s is None or not (repeatable or never_left):
                    raise ServerUnreachable(self.url, _reason(error)) from error
            else:
                if delay_s is None or not (restarting and response.status_code == 503):
                    raise _refusal(response)
            self.sleep(delay_s)


def segment(name: str) -> str:
    """`name` as one segment of a path, whatever it holds; dots alone would climb the path."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def split_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines ended by LF or CRLF. httpx's own splitter also cuts at U+2028 and U+0085 in the data.

    Raises httpx.RemoteProtocolError for a line longer than `EVENT_BYTES_MAX`.
    """
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        *lines, last = rest.split(b"\n")
        rest = bytearray(last)
        if len(rest) > EVENT_BYTES_MAX:
            raise httpx.RemoteProtocolError(f"a line is longer than {EVENT_BYTES_MAX} bytes")
        yield from (line.removesuffix(b"\r").decode(errors="replace") for line in lines)


def parse_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """The events of a text/event-stream (WHATWG HTML 9.2.6); one that is cut short is dropped.

    Raises httpx.RemoteProtocolError for an event with more than `EVENT_BYTES_MAX` characters.
    """
    name, event_id, data, size = "message", None, list[str](), 0
    told = event_id
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerEvent(name=name, id=event_id, data="\n".join(data))
            elif event_id != told:  # an id alone moves the place to go on from, too
                yield ServerEvent(name="comment", id=event_id)
            told = event_id
            name, data, size = "message", [], 0
        elif not field:
            yield ServerEvent(name="comment")
        elif field == "event":
            name = value
        elif field == "id":
            event_id = value
        elif field == "data":
            data.append(value)
            size += len(value)
            if size > EVENT_BYTES_MAX:
                raise httpx.RemoteProtocolError(f"an event is longer than {EVENT_BYTES_MAX} bytes")


def _refusal(response: httpx.Response) -> ApiError:
    status = response.status_code
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        code = _CODE_OF_STATUS.get(status, "unavailable" if status >= 500 else "invalid")
        detail = f"{response.url} answered {status}, and not in headway's words"
        return ApiError(status, code, f"{detail}; is it another program that listens there?")
    after = response.headers.get("Retry-After", "")
    return ApiError(
        status,
        # A newer server may know a code that this client does not; it is carried as it is.
        cast(Code, problem.code),
        problem.detail or problem.title,
        tuple(Fault(fault.pointer, fault.message) for fault in problem.errors),
        float(after) if after.isdecimal() else None,
    )


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    text = str(error).rpartition("] ")[2]
    return text[:1].lower() + text[1:] or "the connection broke"


def _checked(url: str) -> str:
    """`url` without its last slash, or ValueError."""
    wrong = f"{url!r} is not an address of a server; write it like http://127.0.0.1:8787"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise ValueError(wrong) from error
    if not usable or parts.query or parts.fragment:
        raise ValueError(wrong)
    return url.rstrip("/")


def _timeout(read_s: float | None) -> httpx.Timeout:
    return httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=read_s)


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(body), default=_plain, allow_nan=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
