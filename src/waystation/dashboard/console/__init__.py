"""The command console: ask one device or many, and see what becomes of it."""
