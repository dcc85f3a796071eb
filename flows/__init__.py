"""The order of the tasks, and the temporary server they run with.

What Prefect reads from the environment when it is imported is set here, first: no telemetry, and patience with a first
start, whose migrations take longer than Prefect's own limit. Whoever set a value keeps it.
"""

import os

for _name, _value in {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}.items():
    os.environ.setdefault(_name, _value)
