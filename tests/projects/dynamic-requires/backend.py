# ruff: noqa - a package as strangers write them
"""A backend of the sdist's own, which asks for more than it says, and whose dependencies only a build tells."""
from setuptools.build_meta import *  # noqa: F403
from setuptools.build_meta import build_wheel as _build_wheel


def get_requires_for_build_wheel(config_settings=None):
    print("a backend prints what it likes: []")
    return ["cython >= 3; python_version >= '3.9'", "packaging"]


def build_wheel(directory, config_settings=None, metadata_directory=None):
    import Cython  # noqa: F401 - needed to prove that it was given

    return _build_wheel(directory, config_settings, metadata_directory)
