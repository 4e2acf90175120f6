"""A run in a process of its own, which a test can kill: driver.py MICROGRAPHS OUTPUT [--retry]."""

import sys
from pathlib import Path

from scale_helpers import go

from cryomae.atomic import OutputError
from cryomae.micrograph import MicrographRef
from cryomae.scale.processes import Processes

if __name__ == "__main__":
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    refs = [MicrographRef(f"mics/{path.name}", path) for path in sorted(folder.glob("*.mrc"))]
    try:
        with Processes(2) as backend:
            result = go(refs, out, backend, retry="--retry" in sys.argv)
    except OutputError as error:
        sys.exit(f"error: {error}")
    sys.exit(1 if result.failed else 0)
