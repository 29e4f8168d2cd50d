"""History as people ask for it: any series of a home, in few points or in buckets of a calendar, on one chart."""
