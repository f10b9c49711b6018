"""Play a document: write the files that it shows, run its commands, compare what they print.

A fenced block's language says what is done with it:

- `console`: each line that begins with "$ " is run by bash; what follows is what it must print.
- `sh`: each line is run and must succeed. The line that installs headway is run without installing.
- `text output`: what the last command of the block before must print.
- `toml NAME`, `python NAME`, `ini NAME`, `text NAME`: a file, written beside the others.
- `toml`: a part of a headway.toml, which must load.
- `python FOLDER/NAME`, `sql …`, `js …`: a file in a copy of headway's own packages.
- `diff`: changes to files that are there. A line "--- NAME" begins a file, "@@" a place in it.
- `text`, `ini`, `nginx`: read only. Its commands, if any, are those of `FOREIGN` programs.
- `mermaid`: read only.

`headway serve` starts a server on a free port, which the document calls 8787; everything after it
speaks to that one. In expected output "…" stands for anything, on a line of its own for any
number of lines; a time, a duration or a pid for any of its kind; an id for one that is not known
yet, and from then on for that one, in commands too. `HOME` stands for the directory in which the
document is played.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from config.settings import load
from web.process.ready_line import ready_url

COMMAND_DEADLINE_S = 60.0
HOME = "/home/ann/words"
PORT = "127.0.0.1:8787"
FOREIGN = {"sudo", "systemctl", "journalctl", "ssh", "nginx"}
READ_ONLY = {"text", "ini", "nginx", "mermaid"}
INSTALL = re.compile(r"python3 -m venv \.venv && \.venv/bin/pip install -q \S+( '\.\[test\]')? && ")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
_ID = re.compile(r"\b(?:job|run|rsv)-[0-9a-f]{8}-[0-9a-f-]{27}\b")
_VARIABLE = re.compile(
    "|".join(
        (
            rf"(?P<id>{_ID.pattern})",
            r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?)",
            r"(?P<took>\b\d+(?:\.\d+)? (?:ms|s)\b)",
            r"(?P<pid>(?<=pid=)\d+)",
            r"(?P<space> +)",
        )
    )
)
_MEANING = {
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?",
    "took": r"\d+(?:\.\d+)? (?:ms|s)",
    "pid": r"\d+",
    "space": r" +",
}


class Wrong(Exception):
    """A document that does not say what happens."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is that of its first line of text, from 1."""

    language: str
    name: str
    text: str
    line: int


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a Markdown document, in order."""
    found = [
        Block(match[1], match[2] or "", match[3], document[: match.start(3)].count("\n") + 1)
        for match in _FENCE.finditer(document)
    ]
    fences = len(re.findall(r"^\s*```", document, re.M))
    if fences != 2 * len(found):
        raise Wrong(f"{fences} fences make {len(found)} blocks: give each block its language")
    return found


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console, each with what follows it."""
    parts = re.split(r"^\$ ((?:.*\\\n)*.*)\n", text, flags=re.M)
    if parts[0]:
        raise Wrong(f"not a command: {parts[0]!r}")
    return list(zip(parts[1::2], parts[2::2], strict=True))


@dataclass
class Stage:
    """The directory in which a document is played, its server, and the ids that were seen."""

    directory: Path
    port: str = PORT
    printed: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    _server: "subprocess.Popen[str] | None" = None

    def __post_init__(self) -> None:
        (self.directory / ".venv").symlink_to(sys.prefix)
        inherited = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
        self._environ = {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}:{inherited['PATH']}",
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.directory),  # where a document changes headway itself
            "HEADWAY_SERVER__BIND": "127.0.0.1:0",
            "HEADWAY_SERVER__SHUTDOWN_GRACE_S": "0",
            "HEADWAY_SERVER__LOG_FORMAT": "console",  # as on a terminal
        }

    def play(self, block: Block) -> None:
        """Do what a block says; raise `Wrong` if it is not so."""
        match block.language, block.name:
            case "console", "":
                for command, expected in commands(block.text):
                    self._run(command)
                    self.compare(expected)
            case "sh", "":
                for command in block.text.splitlines():
                    self._run(command)
            case "text", "output":
                self.compare(block.text)
            case "toml", "":
                self._load(block.text)
            case "diff", "":
                self._change(block.text)
            case "toml" | "python" | "ini" | "text" | "sql" | "js", name if name:
                (self.directory / name).write_text(self._here(block.text))
            case language, "" if language in READ_ONLY:
                self._check_foreign(block.text)
            case _:
                raise Wrong(f"the harness knows no block `{block.language} {block.name}`")

    def compare(self, expected: str) -> None:
        """Raise `Wrong` unless the last command printed this. Notes the ids that it gave."""
        parts, at = expected.replace("\n…\n", "\n…").split("…"), 0
        for number, part in enumerate(parts):
            new: list[str] = []
            ending = r"\Z" if number == len(parts) - 1 else ""
            pattern = re.compile(self._pattern(part, new) + ending)
            found = pattern.search(self.printed, at) if number else pattern.match(self.printed)
            if found is None:
                raise Wrong(f"expected:\n{self._here(expected)}\nprinted:\n{self.printed}")
            self.ids.update(zip(new, found.groups(), strict=True))
            at = found.end()

    def close(self) -> None:
        """End the server, if one runs."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
        self._reap()

    def _pattern(self, expected: str, new: list[str]) -> str:
        """A regular expression with a group for each id that is not known yet; `new` gets them."""

        def meaning(found: "re.Match[str]") -> str:
            if (kind := found.lastgroup or "") != "id":
                return _MEANING[kind]
            if (known := found[0]) in self.ids:
                return re.escape(self.ids[known])
            if known in new:
                return f"\\{new.index(known) + 1}"
            new.append(known)
            return f"({_ID.pattern})"

        pattern, at = "", 0
        for found in _VARIABLE.finditer(expected):
            pattern += re.escape(self._here(expected[at : found.start()])) + meaning(found)
            at = found.end()
        return pattern + re.escape(self._here(expected[at:]))

    def _here(self, text: str) -> str:
        """The text as it must be on this stage: its ids, its port, its directory."""
        text = _ID.sub(lambda found: self.ids.get(found[0], found[0]), text)
        return text.replace(PORT, self.port).replace(HOME, str(self.directory))

    def _run(self, command: str) -> None:
        command = INSTALL.sub("", command)
        if command == ".venv/bin/python -m pytest":
            return  # the suite in which this runs
        if re.fullmatch(r"headway serve[^|&;]*", command):
            self._serve(command)
            return
        ended = subprocess.run(
            ["bash", "-c", self._here(command)],
            cwd=self.directory,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_DEADLINE_S,
            text=True,
        )
        self.printed = re.sub(r"(?<=.)\Z", "\n", ended.stdout)  # curl ends with its last byte
        if ended.returncode != 0:
            raise Wrong(f"{command}: exit status {ended.returncode}\n{ended.stdout}")

    def _serve(self, command: str) -> None:
        if self._server is not None:
            self._reap()
        self._server = subprocess.Popen(
            ["bash", "-c", f"exec {self._here(command)}"],
            cwd=self.directory,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._server.stderr is not None
        watchdog = Timer(COMMAND_DEADLINE_S, self._server.kill)
        watchdog.start()
        self.printed, url = "", None
        while url is None and (line := self._server.stderr.readline()):
            self.printed += _COLOUR.sub("", line)
            url = ready_url(line)
        watchdog.cancel()
        if url is None:
            raise Wrong(f"{command}: {self.printed}")
        self.port = url.removeprefix("http://")
        self._environ |= {"HEADWAY_SERVER__BIND": self.port, "HEADWAY_URL": url}

    def _reap(self) -> None:
        if self._server is None:
            return
        try:
            self._server.wait(COMMAND_DEADLINE_S)
        finally:
            self._server.kill()
            self._server.wait()
            assert self._server.stderr is not None
            self._server.stderr.close()
            self._server = None

    def _change(self, text: str) -> None:
        for part in re.split(r"^--- ", text, flags=re.M)[1:]:
            name, _, rest = part.partition("\n")
            path = self.directory / name
            for place in rest.split("@@\n")[1:]:
                lines = place.splitlines(keepends=True)
                before = "".join(line[1:] for line in lines if line[0] != "+")
                after = "".join(line[1:] for line in lines if line[0] != "-")
                content = path.read_text()
                if content.count(before) != 1:
                    raise Wrong(f"{name} has this {content.count(before)} times:\n{before}")
                path.write_text(content.replace(before, after))

    def _load(self, text: str) -> None:
        path = self.directory / "part.toml"
        path.write_text(text)
        load(path, {})
        path.unlink()

    def _check_foreign(self, text: str) -> None:
        for command in re.findall(r"^\$ (\S+)", text, re.M):
            if command not in FOREIGN:
                raise Wrong(f"`{command}` can be run: make its block a console")
