"""Whether the server answers, and whether it is ready."""

from pydantic import BaseModel


class Health(BaseModel):
    """`GET /health`, which has `version`, and `GET /ready`, which has the rest.

    `database`: "checking" or "checked". `warnings`: what works and still needs the operator.
    """

    status: str
    version: str | None = None
    database: str | None = None
    warnings: list[str] = []
