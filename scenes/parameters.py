"""What a scene looks like: the person's colours and clothes, the room, the light, the cameras.

`scene_parameters_rand` draws one scene; everything else in `scenes` is a
function of what it drew, so a sample's pictures follow from its seed.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from farm.config import View
from farm.records import Sex

Rgb = tuple[float, float, float]
"""sRGB, 0 to 1."""

HairStyle = Literal["bald", "crop", "short", "long", "bun"]
SleeveCut = Literal["short", "long", "cap"]
TrouserCut = Literal["long", "short"]
ShirtPattern = Literal["plain", "hoops", "yoke"]
FloorKind = Literal["tiles", "planks", "vinyl", "mat"]

MONK_SKIN_TONES: tuple[str, ...] = (
    "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420",
)  # fmt: skip
"""The ten tones of the Monk Skin Tone scale (Monk 2019, skintone.google), drawn uniformly."""

_PALE_SKIN = np.array([0.93, 0.82, 0.76])
"""Swatches are flat patches on white; pale skin under a lamp would look like plaster without these factors."""

_HAIR_COLOURS: tuple[str, ...] = ("17120f", "2b1d14", "4a2f1c", "6e4a2a", "9a7040", "b9b3ac", "8a8680")
_GREY_HAIR: tuple[str, ...] = ("b9b3ac", "d8d4cf", "8a8680")
_SHOE_COLOURS: tuple[str, ...] = ("1b1b1d", "2c3138", "55402e", "8c8f94", "e6e4df", "7c2126", "25406b")
_SOLE_COLOURS: tuple[str, ...] = ("efece6", "d9d5cc", "3a3a3c", "a58a63")
_TROUSER_COLOURS: tuple[str, ...] = (
    "1f2430", "2d3b55", "46587a", "23262a", "5b5148", "8b7d68", "b6a98f", "3b4a3a", "6b6e73", "11151c",
)  # fmt: skip
_WALL_COLOURS: tuple[str, ...] = ("e8e6df", "dfe4e6", "e9dfcf", "cfdad5", "d9dbe4", "eeeae3", "c9d2d8", "d8cdbf")
_ACCENT_COLOURS: tuple[str, ...] = ("8fb3b0", "a9bd9a", "c9a66b", "8aa0bd", "b98d7c", "9aa3a8", "d1c28f")
_FLOOR_COLOURS: dict[FloorKind, tuple[str, ...]] = {
    "tiles": ("b9b4aa", "a7adb0", "c8bda9", "8f9699", "cfcac2"),
    "planks": ("a9814f", "8a6238", "c19c6a", "6f4d30", "b58f66"),
    "vinyl": ("9fb0b3", "b3a994", "8e9f96", "a8b0bd", "bcb7ae"),
    "mat": ("4b5f76", "5d6b5c", "6a4a4a", "4f4f57", "7d7466"),
}


@dataclass(frozen=True)
class Clothes:
    """Colours and cut of one person; eases are the cloth's distance from the skin (m)."""

    skin: Rgb
    hair: Rgb
    hair_style: HairStyle
    shirt: Rgb
    shirt_accent: Rgb
    shirt_pattern: ShirtPattern
    sleeves: SleeveCut
    shirt_ease_m: float
    trousers: Rgb
    trouser_cut: TrouserCut
    trouser_ease_m: float
    shoes: Rgb
    soles: Rgb
    fold_phase: float


@dataclass(frozen=True)
class Room:
    """A clinic's corridor or gait laboratory around the walkway.

    Attributes:
        margin_m: Free floor between the cameras' and walker's places and the walls.
        tile_m: Edge of a tile, breadth of a plank.
        texture_seed: Number of the procedural textures' pattern.
        panel_pitch_m: Distance between doors and panels along the walls.
    """

    floor: FloorKind
    floor_rgb: Rgb
    floor_contrast: float
    floor_gloss: float
    tile_m: float
    wall_rgb: Rgb
    dado_rgb: Rgb
    dado_height_m: float
    door_rgb: Rgb
    skirting_rgb: Rgb
    panel_pitch_m: float
    panel_offset_m: float
    walkway_rgb: Rgb
    walkway_width_m: float
    margin_m: float
    height_m: float
    texture_seed: int


@dataclass(frozen=True)
class Light:
    """One far lamp that casts shadows, and light from everywhere.

    Attributes:
        direction: Unit vector in which the light travels, world axes (points down).
        key: Strength of the lamp; ambient: strength of the surrounding light; sums to about 1 on a lit floor.
        warmth: -1 bluish to 1 yellowish.
    """

    direction: tuple[float, float, float]
    key: float
    ambient: float
    warmth: float


@dataclass(frozen=True)
class CameraDraw:
    """What was drawn for one view; `scenes.cameras` places it. Lengths in m, angles in degrees.

    Attributes:
        distance_m: From the nearer end of the walk (fixed) or from the walkway (panning).
        aim_height_m: Height at which the camera would look without jitter, relative to stature.
    """

    view: View
    azimuth_deg: float
    distance_m: float
    height_m: float
    pitch_offset_deg: float
    yaw_offset_deg: float
    roll_deg: float
    vertical_fov_deg: float
    aim_height: float


@dataclass(frozen=True)
class SceneParameters:
    """Everything that was drawn for one sample's pictures."""

    clothes: Clothes
    room: Room
    light: Light
    cameras: tuple[CameraDraw, ...]

    def record(self) -> dict[str, Any]:
        """As plain values, for the dataset's index."""
        drawn = {"clothes": asdict(self.clothes), "room": asdict(self.room), "light": asdict(self.light)}
        cameras = {
            camera.view.name: {key: value for key, value in vars(camera).items() if key != "view"}
            for camera in self.cameras
        }
        return {**drawn, "cameras": cameras}


def rgb(code: str) -> Rgb:
    """sRGB from six hexadecimal digits."""
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


def scene_parameters_rand(
    scene_rng: np.random.Generator,
    camera_rng: np.random.Generator,
    *,
    views: Sequence[View],
    sex: Sex = "male",
    age_years: float = 40.0,
) -> SceneParameters:
    """Draw one scene: looks from `scene_rng` (stream SCENE), cameras from `camera_rng` (stream CAMERAS).

    Two generators, so that other clothes do not move the cameras.

    Args:
        views: The campaign's views, in order.
        sex: Shifts the shares of hair styles and cuts; none is excluded but by chance.
        age_years: The older, the more grey hair.
    """
    return SceneParameters(
        clothes=_clothes_rand(scene_rng, sex, age_years),
        room=_room_rand(scene_rng),
        light=_light_rand(scene_rng),
        cameras=tuple(_camera_rand(camera_rng, view) for view in views),
    )


def _pick(rng: np.random.Generator, codes: Sequence[str], spread: float = 0.02) -> Rgb:
    """One of some colours, slightly varied."""
    base = np.array(rgb(codes[int(rng.integers(len(codes)))]))
    lighter = rng.normal(0.0, 1.5 * spread)  # brightness varies more than hue
    varied = np.clip(base + lighter + rng.normal(0.0, 0.4 * spread, 3), 0.02, 0.98)
    return (float(varied[0]), float(varied[1]), float(varied[2]))


def _choose(rng: np.random.Generator, shares: dict[Any, float]) -> Any:
    names = list(shares)
    weight = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=weight / weight.sum()))]


def _cloth_colour_rand(rng: np.random.Generator) -> Rgb:
    """A shirt's colour: any hue, mostly muted, sometimes white or dark."""
    values = [rng.uniform(0.15, 0.35), rng.uniform(0.4, 0.75), rng.uniform(0.82, 0.93)]
    value = float(rng.choice(values, p=[0.25, 0.5, 0.25]))
    saturation = float(rng.uniform(0.05, 0.75) * (1.0 if value < 0.8 else 0.4))
    return colorsys.hsv_to_rgb(float(rng.uniform()), saturation, value)


def _clothes_rand(rng: np.random.Generator, sex: Sex, age_years: float) -> Clothes:
    tone = int(rng.integers(len(MONK_SKIN_TONES)))
    grey = rng.uniform() < np.clip((age_years - 35.0) / 45.0, 0.0, 0.9)
    dark_hair = _HAIR_COLOURS[: 3 if tone >= 5 else len(_HAIR_COLOURS)]
    if sex == "female":
        styles = {"long": 0.45, "bun": 0.25, "short": 0.28, "crop": 0.02}
    else:
        styles = {"short": 0.55, "crop": 0.28, "bald": 0.12, "long": 0.05}
    swatch = np.array(rgb(MONK_SKIN_TONES[tone]))
    skin = swatch * (1.0 - swatch.mean() * (1.0 - _PALE_SKIN)) * rng.uniform(0.95, 1.03)
    return Clothes(
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=_pick(rng, _GREY_HAIR if grey else dark_hair),
        hair_style=_choose(rng, styles),
        shirt=_cloth_colour_rand(rng),
        shirt_accent=_cloth_colour_rand(rng),
        shirt_pattern=_choose(rng, {"plain": 0.6, "hoops": 0.25, "yoke": 0.15}),
        sleeves=_choose(rng, {"short": 0.6, "long": 0.3, "cap": 0.1}),
        shirt_ease_m=float(rng.uniform(0.008, 0.020)),
        trousers=_pick(rng, _TROUSER_COLOURS, 0.03),
        trouser_cut=_choose(rng, {"long": 0.72, "short": 0.28}),
        trouser_ease_m=float(rng.uniform(0.004, 0.014)),
        shoes=_pick(rng, _SHOE_COLOURS),
        soles=_pick(rng, _SOLE_COLOURS),
        fold_phase=float(rng.uniform(0.0, 2 * np.pi)),
    )


def _room_rand(rng: np.random.Generator) -> Room:
    floor: FloorKind = _choose(rng, {"tiles": 0.35, "planks": 0.25, "vinyl": 0.25, "mat": 0.15})
    wall = _pick(rng, _WALL_COLOURS)
    return Room(
        floor=floor,
        floor_rgb=_pick(rng, _FLOOR_COLOURS[floor], 0.03),
        floor_contrast=float(rng.uniform(0.5, 1.0)),
        floor_gloss=float({"tiles": 0.30, "planks": 0.20, "vinyl": 0.25, "mat": 0.0}[floor] * rng.uniform(0.5, 1.0)),
        tile_m=float({"tiles": rng.uniform(0.3, 0.6), "planks": rng.uniform(0.10, 0.18)}.get(floor, 1.0)),
        wall_rgb=wall,
        dado_rgb=_pick(rng, _ACCENT_COLOURS) if rng.uniform() < 0.6 else wall,
        dado_height_m=float(rng.uniform(0.9, 1.25)),
        door_rgb=_pick(rng, ("8a6a48", "b9a88c", "cfd3d4", "6f7f8c", "a4553f", "7d6b5d")),
        skirting_rgb=_pick(rng, ("f1efe9", "6b6459", "3f4347", "b4aea3")),
        panel_pitch_m=float(rng.uniform(2.6, 4.2)),
        panel_offset_m=float(rng.uniform(0.0, 2.5)),
        walkway_rgb=_pick(rng, ("5d6e7e", "7d8a72", "8c5b52", "4f565c", "a39a86", "3f5b57")),
        walkway_width_m=float(rng.uniform(1.0, 1.6)) if rng.uniform() < 0.4 else 0.0,
        margin_m=float(rng.uniform(0.8, 2.2)),
        height_m=float(rng.uniform(2.6, 3.4)),
        texture_seed=int(rng.integers(2**31)),
    )


def _light_rand(rng: np.random.Generator) -> Light:
    azimuth = rng.uniform(0.0, 2 * np.pi)
    elevation = np.deg2rad(rng.uniform(48.0, 78.0))
    key = float(rng.uniform(0.42, 0.62))
    return Light(
        direction=(
            float(-np.cos(elevation) * np.cos(azimuth)),
            float(-np.sin(elevation)),
            float(-np.cos(elevation) * np.sin(azimuth)),
        ),
        key=key,
        ambient=float(rng.uniform(0.95, 1.08) - key),
        warmth=float(rng.uniform(-0.6, 1.0)),
    )


def _camera_rand(rng: np.random.Generator, view: View) -> CameraDraw:
    return CameraDraw(
        view=view,
        azimuth_deg=float(view.azimuth_deg + rng.uniform(-1.0, 1.0) * view.azimuth_jitter_deg),
        distance_m=float(rng.uniform(*view.distance_m)),
        height_m=float(rng.uniform(*view.height_m)),
        pitch_offset_deg=float(rng.uniform(-1.0, 1.0) * view.pitch_jitter_deg),
        yaw_offset_deg=float(rng.uniform(-1.0, 1.0) * 0.5 * view.pitch_jitter_deg),
        roll_deg=float(rng.normal(0.0, 0.5)),
        vertical_fov_deg=float(rng.uniform(*view.vertical_fov_deg)),
        aim_height=float(rng.uniform(0.50, 0.58)),
    )
