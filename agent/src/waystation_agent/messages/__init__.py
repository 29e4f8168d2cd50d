"""What this machine says in words: lines of its programs and of the agent, for the hub's page of messages."""
