"""The folder that ./dev test installs for itself (validators.txt), and its reader of YAML."""
import json
import os
import pathlib
import subprocess

from .app import ROOT
from .waiting import PATIENCE

VALIDATORS = pathlib.Path(os.environ.get("VALIDATORS", ROOT / "build" / "validators")) / "bin"


def read_yaml(text):
    """The documents of a YAML text that are not empty."""
    script = "import json, sys, yaml; print(json.dumps([d for d in yaml.safe_load_all(sys.stdin) if d]))"
    result = subprocess.run([VALIDATORS / "python", "-c", script], input=text, stdout=subprocess.PIPE, text=True,
                            timeout=PATIENCE, check=True)
    return json.loads(result.stdout)
