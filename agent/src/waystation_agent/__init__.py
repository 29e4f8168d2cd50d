"""Keeps one machine's readings flowing to its Waystation hub."""

__version__ = "0.1.0"
