"""The order of the tasks, and the temporary server they run with.

Prefect reads these variables when it is imported, so they are set here first: no telemetry, and a longer time limit for
a first start, whose migrations take longer than Prefect's default. A value that the user has set stays.
"""

import os

for _name, _value in {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}.items():
    os.environ.setdefault(_name, _value)
