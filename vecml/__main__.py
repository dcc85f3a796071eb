"""`python -m vecml`: the command, wherever its script lies."""

from vecml.cli.app import main

if __name__ == "__main__":
    main()
