"""Havre: a sovereign cloud platform that an organisation runs on machines it owns."""

from importlib.metadata import version as _version

__version__ = _version("havre")
