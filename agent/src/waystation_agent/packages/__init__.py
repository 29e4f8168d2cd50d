"""Named sets of files that the hub stages for this device: fetched, verified, switched over to at once, and checked."""
