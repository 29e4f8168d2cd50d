"""Tokens that people choose for a device which calls itself by an external id; they may be short, or used twice."""
