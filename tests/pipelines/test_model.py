"""A model behind an endpoint: what is sent, what is taken, what is shown when it fails."""

import pytest

from pipelines.model import DEFAULT_BASE_URL, LanguageModel, model_from_environment
from pipelines.program import BadInput, ProgramFault

from .conftest import Endpoint


def test_it_is_asked_by_chat_completion(endpoint: Endpoint) -> None:
    endpoint.says("  Here.\n")
    assert model_from_environment("tiny").ask("Be short.", "Well?") == "Here."
    (asked,) = endpoint.asked
    assert asked["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Well?"},
    ]
    assert "seed" not in asked
    assert "Authorization" not in asked["headers"]


def test_a_slash_at_the_end_of_the_base_is_no_matter(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.says("Here.")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.url}/")
    model_from_environment("tiny").ask("", "")
    assert endpoint.asked[0]["path"] == "/v1/chat/completions"


def test_a_loopback_endpoint_is_not_asked_through_a_proxy(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.says("Here.")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert model_from_environment("tiny").ask("", "") == "Here."


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b"\xff", b"[" * 200_000]
    + [b'{"choices": [{"message": {"content": %s}}]}' % c for c in (b"null", b'" "', b"7")],
    ids=range(10),
)
def test_an_answer_that_is_none_is_a_fault(endpoint: Endpoint, answer: bytes) -> None:
    endpoint.answer = answer
    with pytest.raises(ProgramFault, match="answered"):
        model_from_environment("tiny").ask("", "")


def test_an_error_is_told_with_what_the_endpoint_says(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.answer = 404, b'model "tiny" not found, try pulling it first'
    with pytest.raises(
        ProgramFault, match=r"model 'tiny' at http.* answered 404 .*try pulling it first"
    ):
        model_from_environment("tiny").ask("", "")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_does_not_follow_a_redirect(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    endpoint.status, endpoint.headers = status, {"Location": f"{endpoint.url}/elsewhere"}
    with pytest.raises(ProgramFault, match=f"answered {status}"):
        model_from_environment("tiny").ask("", "")
    assert len(endpoint.asked) == 1


def test_half_a_surrogate_pair_is_replaced(endpoint: Endpoint) -> None:
    endpoint.answer = b'{"choices": [{"message": {"content": "bell \\ud800"}}]}'
    assert model_from_environment("tiny").ask("", "") == "bell ?"


def test_the_key_is_not_shown() -> None:
    assert "sesame" not in repr(LanguageModel(name="tiny", key="sesame"))


def test_the_default_is_ollama_on_this_machine(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_from_environment("tiny").base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "localhost:11434", "http://", "http://[x/v1"]
)
def test_what_is_no_address_is_bad_input(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(BadInput, match="OPENAI_BASE_URL"):
        model_from_environment("tiny")
