"""The library's functions as Prefect tasks; `tasks.tracking` logs their results in MLflow."""
