"""The service at its full size, beside an MLflow tracking server on SQLite that does the same."""
