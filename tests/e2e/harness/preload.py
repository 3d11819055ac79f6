"""Libraries of our own that stand between the program and the C library."""
import os
import pathlib
import subprocess

from .waiting import PATIENCE

HERE = pathlib.Path(__file__).parent


def preload(folder, name):
    """Compiles NAME.c; the settings that put it before the C library."""
    library = folder / f"{name}.so"
    subprocess.run(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, HERE / f"{name}.c"], check=True,
                   timeout=PATIENCE)
    # The sanitizers want to be the first, but can do without.
    options = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
    return {"LD_PRELOAD": library, "ASAN_OPTIONS": options}
