"""The version of Parlour that runs."""

from importlib.metadata import version

VERSION = version("parlour-kit")
