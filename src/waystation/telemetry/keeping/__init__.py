"""How long readings are kept and how much of them: retention, plans and quotas, and deleting what was stored."""
