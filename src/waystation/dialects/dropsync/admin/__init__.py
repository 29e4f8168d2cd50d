"""The administrator's side: devices, their commands and messages, packages, figures and the system's log."""
