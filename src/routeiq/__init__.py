"""RouteIQ: one endpoint in front of every model, tool and agent."""

from importlib.metadata import version

__version__ = version("routeiq")
