"""`python -m routeiq.supervisor`: what `routeiq serve` becomes, without the command line's libraries in memory."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from routeiq.supervisor.programs import Options, installed_programs
from routeiq.supervisor.supervise import Supervisor


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal; the exit status."""
    parser = argparse.ArgumentParser(prog="routeiq serve")
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--state-dir")
    parser.add_argument("--ssl-certfile")
    parser.add_argument("--ssl-keyfile")
    parser.add_argument("--quiet", action="store_true")
    asked = vars(parser.parse_args(arguments))
    options = Options(**{**asked, "config": tuple(asked["config"])})
    return asyncio.run(_run(options))


async def _run(options: Options) -> int:
    return await Supervisor(options, installed_programs()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
