"""The wire structs of each API dialect: only the fields the gateway itself reads."""
