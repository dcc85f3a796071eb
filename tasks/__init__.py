"""One call into vecml each, as Prefect tasks."""
