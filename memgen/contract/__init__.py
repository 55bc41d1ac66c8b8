"""The shared language of core, backend, worker and dashboard: pydantic only, never torch."""
