"""The state of the server process: alive, and ready for work."""

from typing import Literal

from headway.model.field import Model


class Health(Model):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Ready(Model):
    """Requests are served and Jobs are scheduled.

    `database`: whether all its pages have been checked since the start; damage ends the server.
    `warnings`: sentences about what works but needs the operator.
    """

    status: Literal["ready"]
    database: Literal["checking", "checked"]
    warnings: list[str]
