"""`python -m farm`, and the `farm` entry point."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with the codes that `farm --help` lists."""
    from farm.cli.main import run  # noqa: PLC0415 - nothing is imported before it is needed

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
