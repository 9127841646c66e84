"""`python -m routeiq.control`, as the supervisor runs it."""

import sys

from routeiq.control.main import main

sys.exit(main())
