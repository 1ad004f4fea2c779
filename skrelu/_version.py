"""The version of skrelu."""

__version__ = "0.1.0"
