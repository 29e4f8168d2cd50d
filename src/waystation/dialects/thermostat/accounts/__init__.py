"""People of this dialect: user names, log-in, log-out."""
