"""Homes, and who shares them."""
