"""`python -m waystation`."""

from waystation.cli import main

if __name__ == "__main__":
    main()
