"""The reference of `submit`: stock Hypercorn and Quart-Trio with a route that does nothing.

It parses no body and returns a small JSON object. Run as `python -m bench.noop`.
"""

import socket
import sys
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart_trio import QuartTrio

app = QuartTrio("noop", static_folder=None)


@app.post("/jobs")
async def nothing() -> dict[str, Any]:
    """Return the smallest response of this stack."""
    return {"ok": True}


def main() -> None:
    """Serve on a free port until a signal."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    print(f"noop listening on http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr)
    sys.stderr.flush()
    trio.run(serve, app, config)


if __name__ == "__main__":
    main()
