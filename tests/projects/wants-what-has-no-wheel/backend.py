# ruff: noqa - a package as strangers write them
"""A backend of the sdist's own, which asks for a project that was never published as a wheel."""
from setuptools.build_meta import *  # noqa: F403
from setuptools.build_meta import build_wheel as _build_wheel


def get_requires_for_build_wheel(config_settings=None):
    return ["docopt==0.6.2"]


def build_wheel(directory, config_settings=None, metadata_directory=None):
    import docopt  # noqa: F401 - needed to prove that it was given

    return _build_wheel(directory, config_settings, metadata_directory)
