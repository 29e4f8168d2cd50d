"""What a person's scripts and pages read of a thermostat's past."""
