"""Runs before main.py, at every start. Keep it this small: a fault here is a board that must be flashed again."""

import gc

gc.collect()
gc.threshold(gc.mem_free() // 4 + gc.mem_alloc())  # collect early, so that large pieces stay free
