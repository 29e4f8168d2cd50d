"""Pages of this dialect at its own paths: a person's thermostats, one of them, its key for whoever stands beside it."""
