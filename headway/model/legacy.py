"""The response of the deprecated triggers of the launcher that headway replaces."""

from headway.model.field import Model


class Triggered(Model):
    """The response of the deprecated `POST /jobs/{type}/trigger`."""

    job_id: str
    type: str
    status: str
    message: str
