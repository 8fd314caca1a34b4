"""`python -m tickspan.testing.venue`: a simulated venue as a process of its own."""

from __future__ import annotations

import sys

from tickspan.testing.venue.command import main

if __name__ == "__main__":
    sys.exit(main())
