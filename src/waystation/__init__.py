"""Waystation: a self-hosted, offline-first platform for IoT devices."""

__version__ = "0.1.0"
