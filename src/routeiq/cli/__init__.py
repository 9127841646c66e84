"""The `routeiq` command. Each command's module is imported when it is asked for."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

import routeiq


def make_app() -> App:
    """The whole command line."""
    app = App(
        name="routeiq",
        help="One endpoint in front of every model: an AI gateway.",
        version=routeiq.__version__,
    )
    app.register_install_completion_command()
    app.command(version)
    app.command("routeiq.cli.serve:serve", name="serve", help="Run the gateway.")
    app.command("routeiq.cli.status:status", name="status", help="Show the processes of the running gateway.")
    app.command("routeiq.cli.config:config_app", name="config", help="Check, show and reload the configuration.")
    app.command("routeiq.cli.requests:requests_app", name="requests", help="Look at requests that were served.")
    app.command("routeiq.cli.route:route", name="route", help="Show which model a prompt would be sent to.")
    app.command("routeiq.cli.ledger:ledger_app", name="ledger", help="Check the account of all requests.")
    app.command(
        "routeiq.cli.secrets:secrets_app", name="secrets", help="Look after the key that secrets are encrypted under."
    )
    app.command("routeiq.cli.pipeline:pipeline_app", name="pipeline", help="Show a request's way through the gateway.")
    app.command("routeiq.cli.providers:providers_app", name="providers", help="Look at providers, and try one.")
    app.command("routeiq.cli.mlops:mlops_app", name="mlops", help="Train and measure what learned routing serves.")
    app.command("routeiq.cli.demo:demo", name="demo", help="Start a gateway with built-in models and talk to it.")
    return app


def version(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Print the version.

    Parameters
    ----------
    json
        With the Python version and the platform, as JSON.
    """
    if not json:
        print(routeiq.__version__)
        return
    import platform

    import msgspec

    facts = {"version": routeiq.__version__, "python": platform.python_version(), "platform": platform.platform()}
    print(msgspec.json.encode(facts).decode())


def main() -> None:
    """Entry point of the `routeiq` command."""
    make_app()()
