"""`python -m aigw`."""

from __future__ import annotations

import gc
import sys

# What is imported stays. Looking through it for garbage, again and again as it grows, would take a tenth of
# the time to start.
gc.disable()
from aigw.cli import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    sys.exit(main())
