"""Pages of those who manage a home, and of those who run the site."""
