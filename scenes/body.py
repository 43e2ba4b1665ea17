"""A clothed person as one triangle mesh, and how it moves with the skeleton.

The mesh is made once per person in the bind pose and posed for each picture by
linear blend skinning on the physics' own bodies (and the toes, which bend as
`farm.gait.keypoints` says), so joints close and sit where the physics has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.axes import rotation_from_quaternion
from farm.gait.keypoints import FLOOR_Y_M, mtp_centre, toe_flexion
from farm.sampling.anatomy import BODIES, Anatomy
from farm.scene_config import Pattern
from scenes.aids import NO_AIDS, Aids
from scenes.colours import Rgb
from scenes.drape import Drape
from scenes.drape_cloth import covered, drape_cloth
from scenes.drapery import NO_COAT, Drapery, drapes
from scenes.figure import Figure, smooth_step
from scenes.garments import Piece, pieces
from scenes.orthosis import OrthosisPart, orthosis
from scenes.patterns import PATTERNS
from scenes.surface import Array, Surface
from scenes.wardrobe import Clothes

PARTS: tuple[str, ...] = ("background", *BODIES)
"""Names of the mask's ids: 0 is the background, the others are the physics' bodies."""

BONES: tuple[str, ...] = (*BODIES, "toes_r", "toes_l")
"""What moves the skin: the bodies, and the toes beyond the metatarsophalangeal axis."""

_GROUP_SOFTNESS_M = 0.022
_KNEE, _ELBOW, _ANKLE, _LUMBAR, _NECK = 0.065, 0.045, 0.040, 0.080, 0.045
"""Half lengths (m) over which the skin blends from one body to the next."""

_LIMB_OF = {"femur": "leg", "tibia": "leg", "calcn": "leg", "humerus": "arm", "radius": "arm"}

SOLE_CLEARANCE_M = 0.0005
"""Shoes are soft: what the contact's depth would press below the floor is flattened to just above it."""


@dataclass(frozen=True)
class BodyMesh:
    """One person's mesh in the bind pose.

    Attributes:
        vertices: `[V, 3]` m, bind axes.
        normals: `[V, 3]` unit.
        faces: `[T, 3]` int32, counter-clockwise from outside.
        colours: `[V, 3]` sRGB 0 to 1.
        cloth: `[V, 3]` place on the pattern's tile (repeats around and up) and its number in `PATTERNS`.
        accents: `[V, 3]` sRGB of the pattern's second colour.
        part: `[V]` uint8 index into `PARTS`; a face belongs to the part of its first corner.
        gloss: `[V]` 0 (cloth) to 1.
        weights: `[V, B]` share of each of `BONES`, rows sum to 1; 0 where a node moves the vertex.
        node: `[V]` the node of a drape that alone moves the vertex, as the number of a bone after `BONES`; else -1.
        bind: `[J, 4, 4]` bind axes from bone, of `BONES` and the nodes.
        drapes: What hangs from the hips; their nodes are the bones after `BONES`, in this order.
        shoe: `[V]` bool, what the floor may flatten.
    """

    vertices: Array
    normals: Array
    faces: NDArray[np.int32]
    colours: Array
    cloth: Array
    accents: Array
    part: NDArray[np.uint8]
    gloss: Array
    weights: Array
    node: NDArray[np.int64]
    bind: Array
    shoe: NDArray[np.bool_]

    drapes: tuple[Drape, ...] = ()

    def with_nodes(self, bones: Array) -> Array:
        """World from bone `[F, J, 4, 4]`, of the nodes, too, for `bones` `[F, B, 4, 4]` of `BONES`."""
        return np.concatenate([bones, *(drape.transforms(bones) for drape in self.drapes)], axis=1)

    def owner(self) -> NDArray[np.int64]:
        """The bone, or node, that moves each vertex most: `[V]`."""
        return np.where(self.node < 0, np.argmax(self.weights, axis=1), self.node)


@dataclass(frozen=True)
class _Part:
    """One closed surface with all that `BodyMesh` says of its vertices."""

    surface: Surface
    colours: Array
    cloth: Array
    accent: Rgb
    gloss: float
    weights: Array
    node: NDArray[np.int64]
    is_shoe: bool


def body_mesh(
    figure: Figure, clothes: Clothes, aids: Aids = NO_AIDS, drapery: Drapery = NO_COAT, *, cell_m: float = 0.016
) -> BodyMesh:
    """Dress `figure` in `clothes`, `aids` and `drapery`.

    Args:
        cell_m: The mesh's fineness on trunk and legs (head and hands are finer).

    Returns:
        A mesh whose bones are `BONES` and, after them, the nodes of its drapes (`scenes.drapery.drapes`).
    """
    hanging = drapes(figure, clothes, drapery)
    worn: tuple[Piece | OrthosisPart, ...] = (
        *pieces(
            figure, clothes, cell_m, rolled_up=aids.orthosis_sides, holding=aids.holding_sides,
            coat=drapery.coat_colour if drapery.coat else None,
        ),
        *orthosis(figure, aids),
    )  # fmt: skip
    bind = bind_pose(figure)
    parts = [_worn(figure, piece) for piece in worn]
    owners = [*range(len(BODIES)), BODIES.index("calcn_r"), BODIES.index("calcn_l")]
    for name, drape in hanging.items():
        colour, accent, pattern = clothes.lower, clothes.lower_accent, clothes.lower_pattern
        if name == "coat":
            colour, pattern = drapery.coat_colour, "plain"
        look = (pattern, accent, clothes.lower_pattern_m)
        parts.append(_hanging(figure, drape, bind, len(owners), colour, look))
        owners += covered(figure, drape).tolist()
    first = np.cumsum([0, *(len(part.surface.vertices) for part in parts[:-1])])
    weights, node = (np.concatenate([getattr(part, name) for part in parts]) for name in ("weights", "node"))
    owner = np.array(owners)[np.where(node < 0, np.argmax(weights, axis=1), node)]

    def for_each(value: Callable[[_Part], Any]) -> Array:
        return np.concatenate(
            [np.broadcast_to(value(part), (len(part.surface.vertices), *np.shape(value(part)))) for part in parts]
        )

    return BodyMesh(
        vertices=np.concatenate([part.surface.vertices for part in parts]),
        normals=np.concatenate([part.surface.normals for part in parts]),
        faces=np.concatenate([part.surface.faces + np.int32(at) for part, at in zip(parts, first, strict=True)]),
        colours=np.concatenate([part.colours for part in parts]),
        cloth=np.concatenate([part.cloth for part in parts]),
        accents=for_each(lambda part: part.accent),
        part=(owner + 1).astype(np.uint8),
        gloss=for_each(lambda part: part.gloss),
        weights=weights,
        node=node,
        bind=np.concatenate([bind, *(drape.transforms(bind[None])[0] for drape in hanging.values())]),
        shoe=for_each(lambda part: part.is_shoe).astype(bool),
        drapes=tuple(hanging.values()),
    )


def _worn(figure: Figure, piece: Piece | OrthosisPart) -> _Part:
    """A piece that bodies move."""
    surface = piece.surface()
    place = np.zeros((len(surface.vertices), 2))
    if piece.cloth:
        surface, place = piece.cloth.cut(surface)
    pattern = PATTERNS.index(piece.cloth.pattern if piece.cloth else "plain")
    return _Part(
        surface,
        np.broadcast_to(piece.colour(surface.vertices), surface.vertices.shape),
        np.concatenate([place, np.full((len(place), 1), float(pattern))], axis=1),
        piece.cloth.accent if piece.cloth else (0.0, 0.0, 0.0),
        piece.gloss,
        _weights(figure, piece.groups, surface.vertices),
        np.full(len(surface.vertices), -1),
        piece.is_shoe,
    )


def _hanging(
    figure: Figure, drape: Drape, bind: Array, first_node: int, colour: Rgb, look: tuple[Pattern, Rgb, float]
) -> _Part:
    """A drape's cloth, moved by its nodes, which are bones from `first_node` on.

    Args:
        look: Pattern, its second colour, and how often it repeats (m).
    """
    pattern, accent, repeat_m = look
    cloth = drape_cloth(figure, drape, bind, repeat_m)
    count = len(cloth.node)
    place = cloth.place * ([0.0, 0.0] if pattern == "plain" else [1.0, 1.0 / repeat_m])
    return _Part(
        cloth.surface,
        np.tile(colour, (count, 1)),
        np.concatenate([place, np.full((count, 1), float(PATTERNS.index(pattern)))], axis=1),
        accent,
        0.0,
        np.zeros((count, len(BONES))),
        first_node + cloth.node,
        is_shoe=False,
    )


def bind_pose(figure: Figure) -> Array:
    """Bind axes from each bone: `[J, 4, 4]`."""
    bind = np.tile(np.eye(4), (len(BONES), 1, 1))
    for number, bone in enumerate(BONES):
        side = bone[-1]
        name = f"calcn_{side}" if bone.startswith("toes") else bone
        limb = _LIMB_OF.get(name[:-2], "")
        origin = figure.origins[name]
        if limb:
            bind[number, :3, :3] = figure.limb_axes(limb, side)[1]
            origin = figure.bind(origin, limb, side)
        bind[number, :3, 3] = origin
    return bind


def bone_transforms(body: Anatomy, body_pose: Array, bodies: Sequence[str]) -> Array:
    """World from bone for every picture.

    Args:
        body_pose: `[F, B, 7]` poses of `bodies`.

    Returns:
        `[F, J, 4, 4]`, in the order of `BONES`.
    """
    pose = np.asarray(body_pose, dtype=float)[:, [bodies.index(name) for name in BODIES]]
    world = np.tile(np.eye(4), (len(pose), len(BONES), 1, 1))
    world[:, : len(BODIES), :3, :3] = rotation_from_quaternion(pose[..., 3:])
    world[:, : len(BODIES), :3, 3] = pose[..., :3]
    for number, side in ((len(BODIES), "r"), (len(BODIES) + 1, "l")):
        foot = BODIES.index(f"calcn_{side}")
        angle = toe_flexion(body, pose[:, foot], side)
        centre = mtp_centre(body, side)
        bend = np.tile(np.eye(4), (len(pose), 1, 1))
        bend[:, 0, 0] = bend[:, 1, 1] = np.cos(angle)
        bend[:, 0, 1], bend[:, 1, 0] = -np.sin(angle), np.sin(angle)
        bend[:, :3, 3] = centre - bend[:, :3, :3] @ centre
        world[:, number] = world[:, foot] @ bend
    return world


class Skin:
    """Poses one mesh. Keeps only what does not change from picture to picture."""

    def __init__(self, mesh: BodyMesh) -> None:
        self.mesh = mesh
        count = len(mesh.vertices)
        self._weights = mesh.weights.astype(np.float32)
        self._hanging = mesh.node >= 0
        self._nodes = mesh.node[self._hanging]
        self._points = np.concatenate([mesh.vertices, np.ones((count, 1))], axis=1).astype(np.float32)
        self._normals = mesh.normals.astype(np.float32)
        self._bone_from_bind = np.linalg.inv(mesh.bind)

    def pose(self, bones: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """World positions and normals `[V, 3]` of the skin for one picture's `bones` `[B, 4, 4]`, of `BONES`."""
        return self.blend(self.mesh.with_nodes(bones[None])[0])

    def blend(self, bones: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same for `bones` `[J, 4, 4]` that have the mesh's nodes already (`BodyMesh.with_nodes`)."""
        moved = (bones @ self._bone_from_bind)[:, :3].astype(np.float32)
        rows = moved.reshape(len(moved), 12)
        blend = self._weights @ rows[: len(BONES)]
        blend[self._hanging] = rows[self._nodes]
        blend = blend.reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", blend, self._points)
        normals = np.einsum("vij,vj->vi", blend[:, :, :3], self._normals)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
        low = self.mesh.shoe & (vertices[:, 1] < FLOOR_Y_M + SOLE_CLEARANCE_M)
        vertices[low, 1] = FLOOR_Y_M + SOLE_CLEARANCE_M
        return vertices, normals


def _weights(figure: Figure, groups: Sequence[str], points: Array) -> Array:
    """Share of each bone at points in bind axes: `[V, J]`.

    First the nearest group (trunk or a limb) by distance to its flesh, softly;
    then along each group from joint to joint.
    """
    distance = np.stack([_group_distance(figure, group)(points) for group in groups], axis=1)
    share = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / (_GROUP_SOFTNESS_M * figure.size))
    share /= share.sum(axis=1, keepdims=True)
    weights = np.zeros((len(points), len(BONES)))
    trunk = np.zeros(len(points))
    for column, group in enumerate(groups):
        if group == "trunk":
            trunk += share[:, column]
            continue
        limb, side = group.split("_")
        straight = figure.straight(points, limb, side)
        chain, root = (_leg_chain if limb == "leg" else _arm_chain)(figure, straight, side)
        taken = share[:, column] * (root if len(groups) > 1 else 1.0)
        trunk += share[:, column] - taken
        for bone, along in chain:
            weights[:, BONES.index(bone)] += taken * along
    size = figure.size
    lumbar, neck = figure.origins["torso"][1], figure.origins["head"][1]
    above = smooth_step(lumbar - _LUMBAR * size, lumbar + _LUMBAR * size, points[:, 1])
    top = smooth_step(neck - _NECK * size, neck + _NECK * size, points[:, 1])
    weights[:, BONES.index("pelvis")] += trunk * (1.0 - above)
    weights[:, BONES.index("torso")] += trunk * above * (1.0 - top)
    weights[:, BONES.index("head")] += trunk * above * top
    return weights


def _group_distance(figure: Figure, group: str) -> Callable[[Array], Array]:
    if group == "trunk":
        return lambda points: np.minimum(figure.trunk(points), figure.head(points))
    limb, side = group.split("_")
    shape = figure.leg if limb == "leg" else figure.arm
    return lambda points: shape(figure.straight(points, limb, side), side)


def _leg_chain(figure: Figure, straight: Array, side: str) -> tuple[list[tuple[str, Array]], Array]:
    """Bones of one leg with their shares, and the leg's own share against the pelvis."""
    size, y = figure.size, straight[:, 1]
    hip, knee = figure.origins[f"femur_{side}"][1], figure.origins[f"tibia_{side}"][1]
    ankle = figure.origins[f"calcn_{side}"][1] + figure.body.segments[f"calcn_{side}"].joint_in_body[1]
    root = smooth_step(-(hip + 0.05 * size), -(hip - 0.10 * size), -y)
    shank = smooth_step(-(knee + _KNEE * size), -(knee - _KNEE * size), -y)
    foot = smooth_step(-(ankle + _ANKLE * size), -(ankle - 0.2 * _ANKLE * size), -y)
    mtp = figure.origins[f"calcn_{side}"][0] + mtp_centre(figure.body, side)[0]
    toes = smooth_step(mtp - 0.018 * size, mtp + 0.018 * size, straight[:, 0])
    return [
        (f"femur_{side}", 1.0 - shank),
        (f"tibia_{side}", shank * (1.0 - foot)),
        (f"calcn_{side}", shank * foot * (1.0 - toes)),
        (f"toes_{side}", shank * foot * toes),
    ], root


def _arm_chain(figure: Figure, straight: Array, side: str) -> tuple[list[tuple[str, Array]], Array]:
    size, y = figure.size, straight[:, 1]
    shoulder, elbow = figure.origins[f"humerus_{side}"][1], figure.origins[f"radius_{side}"][1]
    root = smooth_step(-(shoulder + 0.05 * size), -(shoulder - 0.05 * size), -y)
    forearm = smooth_step(-(elbow + _ELBOW * size), -(elbow - _ELBOW * size), -y)
    return [(f"humerus_{side}", 1.0 - forearm), (f"radius_{side}", forearm)], root
