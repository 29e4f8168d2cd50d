"""Readings out as files of any length, and files of readings back in."""
