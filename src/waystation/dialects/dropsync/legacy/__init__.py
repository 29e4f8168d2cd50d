"""The oldest addresses: the two forms of the stock dashboard, for who holds a login or a device's token (DS-6)."""
