"""Packages as an administrator makes and lists them."""
