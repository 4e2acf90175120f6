"""Make the micrograph that ships with cryomae for `make demo`, with its truth.

A procedural particle of dihedral symmetry in 1024 × 1024 pixels of 3 Å, with ice crystals and
the edge of a carbon film, by `cryomae.simulate`. Same seed, same bytes.

    python scripts/make_demo.py --output cryomae/data
"""

import argparse
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile
import yaml

from cryomae.simulate.micrograph import Simulator
from cryomae.simulate.settings import make_settings

SETTINGS = {
    "seed": 13,
    "size": 1024,
    "pixel_size": 3.0,
    "snr": 0.12,
    "particle": {"kind": "dihedral", "diameter": 170, "count": [110, 120], "spacing": 0.95},
    "optics": {"defocus": [1.5, 1.7]},
    "contaminants": {"carbon": 1.0, "ice": 1.5},
}


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("cryomae/data"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    settings = make_settings(SETTINGS)
    simulator = Simulator(settings)
    made = simulator.micrograph(0)
    low, high = np.quantile(made.image, [0.0005, 0.9995])
    levels = np.rint((made.image - low) / (high - low) * 255 - 128)
    with mrcfile.new(output / "demo_micrograph.mrc", overwrite=True) as mrc:
        mrc.set_data(np.clip(levels, -128, 127).astype(np.int8))
        mrc.voxel_size = settings.pixel_size
        mrc.header.label[0] = "cryomae demo: simulated, scripts/make_demo.py"
        mrc.header.nlabl = 1
    truth = pd.DataFrame(
        np.round(made.particles.xy, 2), columns=["rlnCoordinateX", "rlnCoordinateY"]
    )
    truth.insert(0, "rlnMicrographName", "demo_micrograph.mrc")
    starfile.write({"particles": truth}, output / "demo_truth.star", overwrite=True)
    content = {
        "diameter": round(simulator.diameter, 1),
        "pixel_size": settings.pixel_size,
        "particles": len(truth),
    }
    (output / "demo.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    print(f"{len(truth)} particles, {output / 'demo_micrograph.mrc'}")


if __name__ == "__main__":
    main()
