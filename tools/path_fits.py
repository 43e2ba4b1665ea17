"""How well the muscles' polynomial paths follow the scaled geometry: length and moment arms, muscle by muscle.

    python tools/path_fits.py [--body-model 3d] [--people 20] [--json]

Compared with the path over the bones at random joint angles of the walking range, for the generic man and for drawn
people; the worst person is shown. True moment arms are differences of the geometry's length; postures at which a
conditional point comes or goes, where that length jumps, have none and are left out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from farm.records import BODY_PLANS, GaitParameters
from farm.sampling.anatomy import Anatomy, anatomy
from workers.simulate.musculature import MUSCLE_SPECS
from workers.simulate.paths import FIT_RANGE_RAD, PathPolynomial, fit_paths, path_length

WALKING_RANGE_DEG = {
    "hip_flexion": (-25.0, 45.0),
    "hip_adduction": (-12.0, 12.0),
    "knee_angle": (-75.0, 0.0),
    "ankle_angle": (-25.0, 20.0),
}
"""Joint angles that walking at any speed visits."""

POSTURES, STEP_RAD, JUMP_M = 2000, 1e-4, 1e-3


@dataclass(frozen=True)
class Fit:
    """Root-mean-square errors of one muscle's polynomial over the walking range, of the worst person."""

    muscle: str
    coordinates: int
    order: int
    terms: int
    length_mm: float
    moment_arm_mm: float
    fitted_range_mm: float


def person_rand(rng: np.random.Generator) -> GaitParameters:
    """Somebody of another size and other proportions."""
    stature = float(rng.uniform(1.50, 1.95))
    thigh, shank, foot = (float(value) for value in rng.uniform(0.95, 1.05, 3))
    return GaitParameters(
        stature_m=stature, mass_kg=24.0 * stature**2, thigh_proportion=thigh, shank_proportion=shank,
        foot_proportion=foot,
    )  # fmt: skip


def errors(group: str, polynomial: PathPolynomial, body: Anatomy, rng: np.random.Generator) -> tuple[float, float]:
    """RMS errors (m) of length and moment arms at random postures."""
    names = polynomial.coordinates
    angles = {name: np.radians(rng.uniform(*WALKING_RANGE_DEG[name], POSTURES)) for name in names}

    def true(shifted: str | None = None, by: float = 0.0) -> NDArray[np.float64]:
        posture = {name: np.zeros(POSTURES) for name in FIT_RANGE_RAD} | angles
        if shifted is not None:
            posture[shifted] = posture[shifted] + by
        return path_length(MUSCLE_SPECS[group], body, "r", posture)

    q = np.stack([angles[name] for name in names], axis=-1)
    length = float(np.sqrt(np.mean((polynomial.length(q) - true()) ** 2)))
    ahead = np.stack([-(true(name, STEP_RAD) - true()) / STEP_RAD for name in names], axis=-1)
    behind = np.stack([-(true() - true(name, -STEP_RAD)) / STEP_RAD for name in names], axis=-1)
    smooth = np.abs(ahead - behind) < JUMP_M
    wrong = (polynomial.moment_arms(q) - 0.5 * (ahead + behind))[smooth]
    return length, float(np.sqrt(np.mean(wrong**2)))


def fits(body_model: str, people: int) -> list[Fit]:
    """One row a muscle group, right leg; the worst of the generic man and `people` others."""
    rng = np.random.default_rng(0)
    bodies = [anatomy(GaitParameters())] + [anatomy(person_rand(rng)) for _ in range(people)]
    plan = BODY_PLANS[body_model]  # type: ignore[index]
    made = [fit_paths(body, "r", plan) for body in bodies]
    rows = []
    for group in plan.muscle_groups:
        found = [errors(group, paths[group], body, rng) for paths, body in zip(made, bodies, strict=True)]
        path = made[0][group]
        rows.append(
            Fit(
                muscle=group,
                coordinates=len(path.coordinates),
                order=path.order,
                terms=len(path.coefficients),
                length_mm=1e3 * max(length for length, _ in found),
                moment_arm_mm=1e3 * max(arm for _, arm in found),
                fitted_range_mm=1e3 * max(paths[group].rms_error_m for paths in made),
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--body-model", choices=tuple(BODY_PLANS), default="3d")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = fits(arguments.body_model, arguments.people)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table(title=f"Polynomial paths, {arguments.body_model}, worst of {arguments.people + 1} people")
    for column in ("muscle", "coordinates", "order", "terms", "length, mm", "moment arm, mm", "length, whole fit, mm"):
        table.add_column(column, justify="left" if column == "muscle" else "right")
    for row in rows:
        table.add_row(
            row.muscle, str(row.coordinates), str(row.order), str(row.terms), f"{row.length_mm:.3f}",
            f"{row.moment_arm_mm:.2f}", f"{row.fitted_range_mm:.3f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
