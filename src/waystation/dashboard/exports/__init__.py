"""Readings as files, for people."""
