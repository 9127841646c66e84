"""The data plane: one process that serves clients, without a database and without a framework."""
