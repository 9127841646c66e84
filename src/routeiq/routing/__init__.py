"""Which deployment serves a request: health and balancing."""
