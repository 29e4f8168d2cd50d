"""Dashboards that people compose of tiles, for themselves or for their home, and links by which others see them."""
