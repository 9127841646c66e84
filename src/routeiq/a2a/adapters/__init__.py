"""Agents that speak no A2A: how each is asked, and what it says."""
