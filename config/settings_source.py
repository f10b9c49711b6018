"""The sources of a process's configuration: a file, the environment, the command line.

The same for every command of the operator, and read again by a server that reloads. `settings.py`
defines the keys; it is imported when something is read, so `--help` does without it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings

CONFIG_NAME = "headway.toml"
_BIND, _DATA_DIR = "HEADWAY_SERVER__BIND", "HEADWAY_SERVER__DATA_DIR"


class SettingsSource:
    """`path` None: CONFIG_NAME in the current directory, if it exists.

    A file that was read once must exist later: without it a reload would return to the built-in
    types. Later reads use the current directory of the first: a server changes its own for moments.
    """

    def __init__(
        self, path: Path | None, *, bind: str | None = None, data_dir: Path | None = None
    ) -> None:
        self.path = path
        self._directory: Path | None = None
        self._environ = dict(os.environ)
        if bind is not None:
            self._environ[_BIND] = bind
        if data_dir is not None:
            self._environ[_DATA_DIR] = str(data_dir)

    def read(self, data_dir: Path | None = None) -> "Settings":
        """The configuration now, or with another data directory.

        Raises:
            ConfigurationError: it has faults.
        """
        from config.settings import load

        again = self._directory is not None
        directory = self._directory = self._directory or Path.cwd()
        if self.path is None and (directory / CONFIG_NAME).exists():
            self.path = Path(CONFIG_NAME)
        given = {} if data_dir is None else {_DATA_DIR: str(data_dir)}
        return load(self.path, self._environ | given, directory=directory, again=again)
