"""What the hub asks of this device: taken, noted, carried out once, and told how it ended."""
