"""`python -m tickspan` is the command `tickspan`."""

import sys

from tickspan.cli import main

sys.exit(main())
