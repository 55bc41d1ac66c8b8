"""The typed HTTP client, under the name that scripts import."""

from backend.api.client import ApiError, Client, Unreachable

__all__ = ["ApiError", "Client", "Unreachable"]
