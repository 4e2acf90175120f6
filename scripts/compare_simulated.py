"""Lay simulated micrographs beside real ones: pictures, power spectra, contrast.

    python scripts/compare_simulated.py --output runs/compare_simulated
    python scripts/compare_simulated.py --output runs/mine --simulated runs/suite/* \
        --real mine:my_micrographs:1.06:150

The real sets are folders of micrographs with pixel size and diameter in Å; a file
particles.star in the folder or beside it says where particles are. By default they are
those of ``$CRYOMAE_DATA`` (or ``../shared/data``): empiar10017 and magellon. Without
``--simulated``, two sets are simulated first: a particle of the size and at the dose of
empiar10017, clear and faint.

Three things are compared, each on the first micrographs of every set:

- the look: a square of 12 particle diameters, low-passed a little;
- the power spectrum, radially averaged, over its own mean between 1/40 and 1/20 of an
  inverse ångström: slope at low frequency, rings of the transfer function, falling edge;
- the particle's contrast: mean of the working image (noise of unit strength, particle 32
  pixels wide) round true particles, over the radius. Where there is no truth, it is left out.

A second picture shows what ruins picks, real (the folder ``quality``) above, simulated below.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from cryomae.formats import read_picks
from cryomae.io import find_micrographs, read_micrograph
from cryomae.micrograph import Micrograph
from cryomae.names import stem
from cryomae.prepare import WORKING_DIAMETER, prepare
from cryomae.simulate import Simulator, make_settings, simulate_set

DATA = Path(os.environ.get("CRYOMAE_DATA", Path(__file__).parents[2] / "shared" / "data"))
MOST = 4  # micrographs of a set that are measured


@dataclass(frozen=True)
class Look:
    """One set: its name, micrographs, diameter in Å and true places by micrograph stem."""

    name: str
    micrographs: list[Micrograph]
    diameter: float
    truth: dict[str, NDArray[np.float64]]


def load(name: str, folder: Path, pixel_size: float | None, diameter: float) -> Look:
    """Read the first micrographs of a folder, and the truth beside them."""
    inside = folder / "micrographs"
    refs, problems = find_micrographs([str(inside if inside.is_dir() else folder)])
    for problem in problems:
        print(f"left out: {problem}")
    found = [read_micrograph(ref, pixel_size=pixel_size) for ref in refs[:MOST]]
    truth: dict[str, NDArray[np.float64]] = {}
    for path in (folder / "particles.star", folder.parent / "particles.star"):
        if path.is_file():
            table = read_picks(path).table
            for micrograph, part in table.groupby("micrograph"):
                truth[stem(str(micrograph))] = part[["x", "y"]].to_numpy(float)
            break
    return Look(name, found, diameter, truth)


def spectrum(micrograph: Micrograph) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spatial frequency in 1/Å and radially averaged power of squares of 512 pixels."""
    side = min(512, *micrograph.pixels.shape)
    window = np.hanning(side)[:, None] * np.hanning(side)[None]
    rim = 64 if min(micrograph.pixels.shape) > 1024 else 0  # streaked borders are not the specimen
    total = np.zeros((side, side // 2 + 1))
    rows, columns = micrograph.pixels.shape
    for y in range(rim, rows - side - rim + 1, side):
        for x in range(rim, columns - side - rim + 1, side):
            part = micrograph.pixels[y : y + side, x : x + side]
            total += np.abs(fft.rfft2((part - part.mean()) * window)) ** 2
    distance = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None]) * side
    ring = np.round(distance).astype(int).ravel()
    power = np.bincount(ring, total.ravel()) / np.bincount(ring)
    count = side // 2
    return np.arange(count) / side / micrograph.pixel_size, power[:count]


def profile(look: Look) -> NDArray[np.float64] | None:
    """Mean working image round true particles against the radius in working pixels."""
    reach = int(1.2 * WORKING_DIAMETER)
    sums, counts = np.zeros(reach), np.zeros(reach)
    for micrograph in look.micrographs:
        places = look.truth.get(stem(micrograph.name))
        if places is None or not len(places):
            continue
        working = prepare(micrograph.pixels, micrograph.pixel_size, look.diameter)
        height, width = working.image.shape
        for x, y in places / np.array(working.spacing[::-1]):
            left, top = round(x) - reach, round(y) - reach
            if left < 0 or top < 0 or left + 2 * reach >= width or top + 2 * reach >= height:
                continue
            part = (slice(top, top + 2 * reach), slice(left, left + 2 * reach))
            yy, xx = np.indices((2 * reach, 2 * reach))
            radius = np.hypot(yy + top - y, xx + left - x).astype(int)
            inside = working.valid[part] & (radius < reach)
            sums += np.bincount(radius[inside], working.image[part][inside], reach)[:reach]
            counts += np.bincount(radius[inside], minlength=reach)[:reach]
    return sums / np.maximum(counts, 1) if counts.any() else None


def draw(looks: list[Look], path: Path) -> dict[str, dict[str, float | None]]:
    """Draw all sets side by side, and give their figures."""
    figure = Figure(figsize=(3.6 * len(looks), 10.5), layout="constrained")
    grid = figure.subplots(3, len(looks), squeeze=False)
    figures: dict[str, dict[str, float | None]] = {}
    for column, look in enumerate(looks):
        micrograph = look.micrographs[0]
        pixels = look.diameter / micrograph.pixel_size
        side = int(min(12 * pixels, *micrograph.pixels.shape))
        middle = [n // 2 - side // 2 for n in micrograph.pixels.shape]
        part = micrograph.pixels[middle[0] : middle[0] + side, middle[1] : middle[1] + side]
        smooth = ndimage.gaussian_filter(part, pixels / 40)
        low, high = np.percentile(smooth, (1, 99.5))
        grid[0, column].imshow(smooth, cmap="gray", vmin=low, vmax=high)
        grid[0, column].set_axis_off()
        words = f"{look.diameter:.0f} Å, {micrograph.pixel_size:.3g} Å a pixel"
        grid[0, column].set_title(f"{look.name}\n{words}", fontsize=10)
        for one in look.micrographs:
            frequency, power = spectrum(one)
            band = (frequency > 1 / 40) & (frequency < 1 / 20)
            grid[1, column].semilogy(frequency[1:], power[1:] / power[band].mean(), lw=0.8)
        grid[1, column].set(xlabel="1/Å", ylim=(1e-2, 1e3), xlim=(0, 0.17))
        mean = profile(look)
        if mean is not None:
            radius = (np.arange(len(mean)) + 0.5) / WORKING_DIAMETER
            grid[2, column].plot(radius, mean, color="k")
            grid[2, column].axvline(0.5, color="0.7", lw=0.8)
        grid[2, column].set(xlabel="distance from the centre, diameters", ylim=(-2.2, 0.6))
        # Files of signed bytes have lost their zero, and with it this figure.
        counts = [m.pixels for m in look.micrographs if m.pixels.min() >= 0]
        relative = [float(pixels.std() / pixels.mean()) for pixels in counts]
        figures[look.name] = {
            "deepest_contrast": None if mean is None else float(mean.min()),
            "contrast_at_centre": None if mean is None else float(mean[:4].mean()),
            "halo": None if mean is None else float(mean.max()),
            "deviation_over_mean": float(np.median(relative)) if relative else None,
        }
    grid[1, 0].set_ylabel("power")
    grid[2, 0].set_ylabel("mean of the working image\n(noise has unit strength)")
    figure.savefig(path, dpi=80)
    return figures


def draw_ruin(path: Path) -> None:
    """Pictures of what ruins picks: real ones above, simulated ones below."""
    classes = ("0Great", "1Decent", "2Cont*", "3Empty*", "4Cryst*", "5Empty*")
    real = [sorted((DATA / "quality").glob(f"{name}/*.png")) for name in classes]
    if not all(real):
        print(f"no pictures of contaminants in {DATA / 'quality'}")
        return
    kinds = [
        {}, {"carbon": 1.0}, {"ice": 4.0, "ethane": 3.0}, {"aggregate": 3.0, "broken": 30.0},
        {"crystal": 1.0}, {"gold": 5.0, "empty": 1.0},
    ]  # fmt: skip
    figure = Figure(figsize=(3 * len(kinds), 9.2), layout="constrained")
    grid = figure.subplots(3, len(kinds))
    for column, (files, kind) in enumerate(zip(real, kinds, strict=True)):
        for row in (0, 1):
            grid[row, column].imshow(Image.open(files[row]).convert("L"), cmap="gray")
        grid[0, column].set_title(f"real: {files[0].parent.name[1:20]}", fontsize=9)
        settings = make_settings(
            {"seed": column, "pixel_size": 4.0, "contaminants": kind,
             "particle": {"diameter": 160, "count": [60, 150]}, "snr": 0.1}
        )  # fmt: skip
        image = ndimage.gaussian_filter(Simulator(settings).micrograph(0).image, 1.5)[::4, ::4]
        low, high = np.percentile(image, (1, 99.8))
        grid[2, column].imshow(image, cmap="gray", vmin=low, vmax=high)
        grid[2, column].set_title(f"simulated: {', '.join(kind) or 'clean'}", fontsize=9)
        for axes in grid[:, column]:
            axes.set_axis_off()
    figure.savefig(path, dpi=70)


def simulate_like_real(folder: Path) -> list[Path]:
    """A molecule of 420 kDa (β-galactosidase has 465) at the pixel size of empiar10017."""
    model = DATA / "structures" / "1y1v.pdb"
    particle: dict[str, object] = {"count": [300, 500]}
    particle |= {"source": str(model)} if model.is_file() else {"diameter": 170}
    made = []
    for name, snr in (
        ("simulated-clear", 0.3),
        ("simulated-faint", 0.05),
        ("simulated-physics", None),
    ):
        settings = make_settings(
            {"name": name, "seed": 17, "pixel_size": 3.54, "snr": snr, "micrographs": 2,
             "particle": particle,
             "optics": {"defocus": [2.0, 4.0], "voltage": 300}, "detector": {"dose": 25}}
        )  # fmt: skip
        simulate_set(settings, folder / name)
        made.append(folder / name)
    return made


def main() -> None:
    """Compare and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--real", nargs="*", help="NAME:FOLDER:PIXEL_SIZE:DIAMETER, in Å")
    add("--simulated", type=Path, nargs="*", help="folders made by cryomae simulate")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    default = [f"empiar10017:{DATA}/empiar10017:3.54:191", f"magellon:{DATA}/magellon:6.32:100"]
    looks = []
    for text in given.real if given.real is not None else default:
        name, folder, pixel_size, diameter = text.split(":")
        if not Path(folder).is_dir():
            parser.error(f"no folder {folder}: pass --real or set CRYOMAE_DATA")
        looks.append(load(name, Path(folder), float(pixel_size), float(diameter)))
    simulated = given.simulated or simulate_like_real(given.output / "sets")
    for folder in simulated:
        content = yaml.safe_load((folder / "simulation.yaml").read_text())
        looks.append(load(folder.name, folder, None, content["diameter"]))
    figures = draw(looks, given.output / "compared.png")
    draw_ruin(given.output / "contaminants.png")
    (given.output / "compared.json").write_text(json.dumps(figures, indent=1))
    for name, values in figures.items():
        words = ", ".join(f"{k} {'none' if v is None else f'{v:.3f}'}" for k, v in values.items())
        print(f"{name}: {words}")
    print(f"pictures: {given.output}/compared.png, contaminants.png")


if __name__ == "__main__":
    main()
