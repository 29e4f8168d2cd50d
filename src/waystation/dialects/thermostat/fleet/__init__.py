"""A person's thermostats and their keys."""
