"""`python -m routeiq.control`, as the supervisor runs it."""

import gc
import sys

from routeiq.control.main import main

status = main()
gc.freeze()  # what is loaded would be collected once more on the way out: a third of a second
sys.exit(status)
