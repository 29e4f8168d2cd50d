"""Registering, logging in and all that a person does with their account."""
