"""The farm's own failures. A package's failure is data (`farm.model.outcome`), never one of these.

    FarmError                 70  something that should not happen
    ├── UsageError             2  the command line, a requirement file, config.toml
    ├── UpstreamError          3  an index did not answer, so the answer is unknown
    ├── EngineError            4  no Docker engine, or it went away
    ├── ImageError             5  a builder or runtime image could not be made
    ├── StoreError             6  the store cannot be written or is damaged
    ├── ResolutionError        7  the requirements have no solution for a target
    └── Interrupted          130  stopped by the user (128 + SIGINT)

Exit code 0 means every wheel is there, 1 that some could not be built.
"""

from typing import ClassVar

_codes: dict[int, str] = {}


class FarmError(Exception):
    """A failure that a person can act on.

    `reason` says what was expected, what was found and where; `solution` says what to do. `exit_code` is the process's,
    unique to each class (checked when the class is made, so that a script can rely on it); a subclass that names
    no code of its own shares its parent's.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, reason: str, *, solution: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.solution = solution

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "exit_code" not in cls.__dict__:
            return
        owner = _codes.setdefault(cls.exit_code, cls.__name__)
        if owner != cls.__name__:
            message = f"{cls.__name__} and {owner} share exit code {cls.exit_code}"
            raise TypeError(message)


class UsageError(FarmError):
    """The command line, a requirement file or config.toml is not as expected."""

    exit_code = 2


class UpstreamError(FarmError):
    """An index did not answer, answered with an error or with nonsense. Never to be read as "the file is missing"."""

    exit_code = 3


class EngineError(FarmError):
    """The Docker engine is absent, too old, or went away."""

    exit_code = 4


class ImageError(FarmError):
    """A builder or runtime image could not be built, or none serves a target."""

    exit_code = 5


class StoreError(FarmError):
    """The store cannot be read or written: disk full, no permission, damaged."""

    exit_code = 6


class StoreFull(StoreError):  # noqa: N818 - names what happened
    """The store's disk or quota has no room left."""


class ResolutionError(FarmError):
    """The requirements have no solution for a target; the reason is the resolver's own explanation."""

    exit_code = 7


class Interrupted(FarmError):  # noqa: N818 - named after what happened, like KeyboardInterrupt
    """The user asked to stop."""

    exit_code = 130
