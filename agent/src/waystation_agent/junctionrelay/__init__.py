"""The JunctionRelay dialect: a device that keeps a short and a long token alive, and reports its health."""
