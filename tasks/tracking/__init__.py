"""Runs, metrics and models in MLflow; the only place that imports it.

What MLflow reads from the environment when it is imported is set here, first: no telemetry, no catalogue from the
internet, no pickle, no addresses of a server's runs in the standard output, which programs read, and a server that is
gone is noticed within seconds, not minutes. Whoever set a value keeps it.
"""

import os

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)
