"""Run first in a hub whose leases shall last seconds instead of minutes. All else is the program as it is shipped."""

from datetime import timedelta

from waystation.commands import model

model.LEASE = timedelta(seconds=2)
model.ONCE_LEASE = timedelta(seconds=3)
