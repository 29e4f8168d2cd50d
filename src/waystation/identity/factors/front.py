"""What identity's feature takes from here: routes and sweeps."""

from waystation.identity.factors import jobs
from waystation.kernel.feature import Every

routes = tuple(f"waystation.identity.factors.{edge}:router" for edge in ("pages", "actions", "api"))
sweeps = (Every(600, jobs.forget_sign_ins_under_way), Every(3600, jobs.forget_wrong_tries))
