"""`python -m orchestration.cli`: the `taker` command where its script is not on the path."""

from orchestration.cli.app import main

if __name__ == "__main__":
    main()
