"""`python -m routeiq.agents`, as the supervisor runs it."""

import sys

from routeiq.agents.main import main

sys.exit(main())
