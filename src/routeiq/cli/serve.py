"""`routeiq serve`: becomes the supervisor."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def serve(
    *,
    config: Annotated[list[Path] | None, Parameter(name=["--config", "-c"], negative="")] = None,
    demo: Annotated[bool, Parameter(negative="")] = False,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    state_dir: Path | None = None,
    ssl_certfile: Path | None = None,
    ssl_keyfile: Path | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run the gateway until SIGTERM or Ctrl-C. SIGHUP reloads the configuration.

    Parameters
    ----------
    config
        A configuration file; may be given several times. Without one, LITELLM_CONFIG_PATH names it.
    demo
        Serve the built-in demonstration models, which need no key and no network.
    host
        The address to listen on.
    port
        The port to listen on; 0 takes any.
    workers
        How many worker processes share the port.
    state_dir
        Where the journal, the counters and the ledger are kept.
    ssl_certfile
        A PEM certificate chain: the port speaks TLS. Needs `--ssl-keyfile`.
    ssl_keyfile
        Its private key.
    quiet
        Print no banner.
    """
    if (ssl_certfile is None) != (ssl_keyfile is None):
        print("error: --ssl-certfile and --ssl-keyfile go together", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "routeiq.supervisor"]
    for path in config or []:
        command += ["--config", str(path)]
    given = {
        "--host": host,
        "--port": port,
        "--workers": workers,
        "--state-dir": state_dir.absolute() if state_dir is not None else None,
        "--ssl-certfile": ssl_certfile.absolute() if ssl_certfile is not None else None,
        "--ssl-keyfile": ssl_keyfile.absolute() if ssl_keyfile is not None else None,
    }
    for name, value in given.items():
        if value is not None:
            command += [name, str(value)]
    command += [name for name, asked in (("--demo", demo), ("--quiet", quiet)) if asked]
    # The same process goes on as the supervisor, without what the command line has loaded.
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, command)  # noqa: S606 - our own module
    except OSError as error:
        print(f"error: {sys.executable} can't be run: {error}", file=sys.stderr)
    return 1
