"""The address of a server, read from a log that is still being written."""

from web.process.ready_line import ready_line, ready_url

URL = "http://127.0.0.1:8787"
LOG = '{"event": "warned", "level": "warning"}\n'


def test_a_line_is_ready_only_with_its_newline() -> None:
    whole = LOG + ready_line(URL)
    assert ready_url(whole) == URL
    assert ready_url(whole + LOG) == URL
    for length in range(len(whole)):
        assert ready_url(whole[:length]) is None, whole[:length]


def test_text_inside_another_line_is_no_address() -> None:
    assert ready_url(LOG + '{"event": "headway listening on http://127.0.0.1:1"}\n') is None
