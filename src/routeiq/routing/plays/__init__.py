"""Strategies that ask models themselves."""
