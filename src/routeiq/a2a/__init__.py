"""Agents that speak A2A behind the gateway: https://a2a-protocol.org/latest/specification/"""
