"""Wire contracts of existing systems, served by our own services."""
