"""Providers' wires, spoken with the types of their vendors' SDKs."""
