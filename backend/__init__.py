"""The service: owns the database and the HTTP API, never imports torch."""
