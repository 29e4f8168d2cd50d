"""More than a password: codes of an app, recovery codes, passkeys, and the count of wrong tries."""
