"""Import one module in a fresh interpreter of the clean room. Exit code 0 when it imported.

prove.py MODULE

An import that raises, exits, or replaces the process is a failure; the last line of output says which.
"""

import importlib
import sys
import traceback


def main(module: str) -> int:
    """Return 0 when `module` imports."""
    try:
        importlib.import_module(module)
    except SystemExit as error:
        print(f"importing {module} ended the process with {error.code!r}")  # noqa: T201 - a program of its own
        return 1
    except BaseException:  # noqa: BLE001 - whatever an import raises, a user would see
        traceback.print_exc(file=sys.stdout)
        return 1
    print(f"imported {module}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
