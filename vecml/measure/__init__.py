"""Taking times. Knows nothing of engines, Prefect, MLflow or the terminal."""
