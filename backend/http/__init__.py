"""The HTTP API: the app with its doors, who may come in, how errors go out, and the routes."""
