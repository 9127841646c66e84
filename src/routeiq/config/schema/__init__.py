"""The settings RouteIQ serves, as pydantic models: one module a section of the file."""
