"""Bytes to and from providers: connection pools, framing of event streams, DNS, TLS."""
