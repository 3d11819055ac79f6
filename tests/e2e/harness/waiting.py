"""Deadlines and waiting for conditions: the only place that knows how patient the tests are."""
import os
import time

# Builds with sanitizers are slower: E2E_SLOWDOWN=5 makes every deadline five times as long.
SLOWDOWN = float(os.environ.get("E2E_SLOWDOWN", "1"))

# How long anything that should happen "soon" may take before a test fails.
PATIENCE = 20 * SLOWDOWN


def wait_until(condition, what, patience=PATIENCE, pause=0.005):
    """Calls condition() until it gives something true, which is returned; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:g} s in vain for: {what}")
        time.sleep(pause)
