"""What the tests start: providers that obey, a gateway as users run it, and sockets that misbehave."""
