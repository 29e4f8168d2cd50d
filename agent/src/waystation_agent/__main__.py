"""Lets `python -m waystation_agent` be the command."""

import sys

from waystation_agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
