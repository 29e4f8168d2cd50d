"""What features stand on; imports no feature."""
