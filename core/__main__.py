"""`python -m core`: the same command as `poemcore`."""

import sys

from core.cli import main

if __name__ == "__main__":
    sys.exit(main())
