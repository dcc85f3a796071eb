"""A Prefect server with its UI that stays until it is told to end; for this machine's own browser and workers only.

Run as `python -m flows.standing PORT`. It is what `prefect server start` serves, but answers only to the names of this
machine, as the temporary one does (`flows.server`), and ends within seconds although a browser still listens to it.
"""

import sys

from flows.server import HOSTS

CLOSING_SECONDS = 2


def serve(port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    import uvicorn  # noqa: PLC0415 -- only the server's process needs it
    from fastapi.middleware.trustedhost import TrustedHostMiddleware  # noqa: PLC0415
    from prefect.server.api.server import create_app  # noqa: PLC0415

    # A page that a browser shows must not reach it by a name that it has made point here (DNS rebinding).
    app = TrustedHostMiddleware(create_app(), allowed_hosts=list(HOSTS))
    uvicorn.run(
        app, host="127.0.0.1", port=port, log_level="warning", lifespan="on", timeout_graceful_shutdown=CLOSING_SECONDS
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
