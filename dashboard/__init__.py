"""The web UI: pages and charts over the HTTP API; it knows neither the database nor Celery nor torch."""
