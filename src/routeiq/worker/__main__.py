"""`python -m routeiq.worker`, as the supervisor runs it."""

import sys

from routeiq.worker.main import main

sys.exit(main())
