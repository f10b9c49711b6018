"""A model behind an OpenAI-compatible endpoint, asked by `POST {base}/chat/completions`.

Ollama serves this at the default base. Redirects are not followed, because urllib would send the
key to their target, and a loopback address is never requested through a proxy.
"""

import ipaddress
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import urlsplit

from pipelines.program import BadInput, ProgramFault

DEFAULT_BASE_URL = "http://127.0.0.1:11434/v1"
TIMEOUT_S = 300.0
ANSWER_LIMIT_BYTES = 4 * 2**20
COMPLAINT_LIMIT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """The model `name` at `base_url`. `key` is not part of its representation."""

    name: str
    base_url: str = DEFAULT_BASE_URL
    key: str = ""

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r} at {self.base_url!r})"

    def ask(self, system: str, user: str, *, seed: int | None = None) -> str:
        """The model's answer. Raises `ProgramFault` if it cannot be reached or returns nothing."""
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": user},
            ],
            "stream": False,
        }
        if seed is not None:
            body["seed"] = seed
        return self._content(self._post(json.dumps(body).encode()))

    @property
    def _url(self) -> str:
        return f"{self.base_url}/chat/completions"

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with self._opener().open(request, timeout=TIMEOUT_S) as response:
                answer: bytes = response.read(ANSWER_LIMIT_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                complaint = error.read(COMPLAINT_LIMIT_CHARS).decode("utf-8", "replace").strip()
            raise self._fault(f"answered {error.code} {error.reason}: {complaint}") from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise self._fault(f"cannot be reached: {reason}") from error
        if len(answer) > ANSWER_LIMIT_BYTES:
            raise self._fault(f"answered more than {ANSWER_LIMIT_BYTES} bytes")
        return answer

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if _is_loopback(urlsplit(self.base_url).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)

    def _content(self, answer: bytes) -> str:
        try:
            content = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise self._fault("answered something that is not a chat completion") from error
        if not isinstance(content, str) or not content.strip():
            raise self._fault("answered nothing")
        # JSON can hold half of a surrogate pair, which no file in UTF-8 can.
        return content.encode("utf-8", "replace").decode().strip()

    def _fault(self, what: str) -> ProgramFault:
        return ProgramFault(f"model {self.name!r} at {self._url} {what}")


def model_from_environment(name: str) -> LanguageModel:
    """The model `name` at OPENAI_BASE_URL. Raises `BadInput` if that is not an address."""
    base_url = (os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
    try:
        parts = urlsplit(base_url)
        valid = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and base_url.isprintable()
        )
    except ValueError:
        valid = False
    if not valid:
        raise BadInput(f"OPENAI_BASE_URL is not the address of an endpoint: {base_url!r}")
    return LanguageModel(name=name, base_url=base_url, key=os.environ.get("OPENAI_API_KEY", ""))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> None:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
