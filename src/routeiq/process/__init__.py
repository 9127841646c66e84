"""What the processes under the supervisor share that serve HTTP on a Unix socket: the feed, the server."""
