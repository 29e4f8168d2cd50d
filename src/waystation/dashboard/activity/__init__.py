"""What happened in a home, newest first: what people did, what devices did, what was found."""
