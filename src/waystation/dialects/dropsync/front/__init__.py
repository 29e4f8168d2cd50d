"""What people open: the dashboard's old address, and the description of this dialect, for readers and machines."""
