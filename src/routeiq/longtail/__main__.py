"""`python -m routeiq.longtail`, as the supervisor runs it."""

import sys

from routeiq.longtail.main import main

sys.exit(main())
