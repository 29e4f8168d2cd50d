"""The MicroPython client of Waystation: readings, commands, messages, files and packages, in 40 KB of heap.

Each service is one module that begins with its story, and none is loaded before it is used:

    errors     what can go wrong, and what to do then
    clock      what time it is, as far as the hub has told
    storage    files that survive a power cut at any byte
    identity   who this device is, and how it claimed its place
    answer     the hub's answers, read piece by piece
    client     one kept connection to the hub
    spool      what waits in flash until the hub has it
    telemetry  readings
    messages   log lines
    commands   what the hub asks of the device, each done once
    files      uploads from flash
    packages   sets of files from the hub, switched over at once
    node       all of it, as one task
    wifi       a station that comes back (boards only)
"""

__version__ = "0.1.0"
