"""How fast pictures are drawn here: pyrender's own way against ours, on one sample's walk.

    OMP_NUM_THREADS=1 python -m tools.bench_render [--frames 40] [--size 256] [--json]

The baseline is what one writes first: one pyrender mesh for each body part, a
room, a directional light with shadows, `OffscreenRenderer.render` once for the
colours and once with flat colours for the masks, for each view. Ours is `workers.render`,
with the same geometry. Both are given in pictures of one view a second, colour and mask, of the
processor time spent (what a busy machine does not blur) and of wall time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from farm.config import Campaign, Pictures
from farm.gait.labels import gait_labels
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from scenes.body import PARTS
from scenes.room import room_panels
from tests.norm_walk import norm_walk
from workers.render.context import gl_context
from workers.render.film import Stage, make_raster, set_stage

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40, help="moments of the walk to draw (each from every view)")
    parser.add_argument("--size", type=int, default=256, help="breadth and height of the pictures in pixels")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    parameters = GaitParameters(sample_id=3)
    body, walk = anatomy(parameters), norm_walk(parameters, duration_s=8.0)
    campaign = Campaign(name="bench", samples=8, pictures=Pictures(image_size=(arguments.size, arguments.size)))
    stage = set_stage(campaign, parameters, body, walk, gait_labels(walk, body, frame_rate_hz=30.0))
    moments = np.linspace(0, len(stage.bones) - 1, arguments.frames).astype(int).tolist()
    results = {
        "pyrender, a mesh for each part": measure(pyrender_way(stage, arguments.size), moments, len(stage.cameras)),
        "workers.render": measure(our_way(campaign, stage), moments, len(stage.cameras)),
    }
    report = {"renderer": gl_context().renderer, "size": arguments.size, "results": results}
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"{gl_context().renderer}, {arguments.size}x{arguments.size}, colour with shadows and mask, one thread")
    print(f"{'':34}{'fps of processor':>18}{'fps of wall':>14}")
    for name, row in results.items():
        print(f"{name:34}{row['fps_cpu']:18.1f}{row['fps_wall']:14.1f}")


def measure(draw: Callable[[int], None], moments: list[int], views: int) -> dict[str, float]:
    """View pictures a second over `moments`, after one picture that is not counted."""
    draw(moments[0])
    wall, processor = time.perf_counter(), time.process_time()
    for moment in moments:
        draw(moment)
    count = views * len(moments)
    return {
        "fps_cpu": count / (time.process_time() - processor),
        "fps_wall": count / (time.perf_counter() - wall),
    }


def our_way(campaign: Campaign, stage: Stage) -> Callable[[int], None]:
    """Skin, draw and read one moment's views as `film` does."""
    raster = make_raster(campaign, stage)
    poses = np.stack([camera.world_from_camera for camera in stage.cameras], axis=1)
    intrinsics = np.stack([camera.intrinsics for camera in stage.cameras])

    def draw(moment: int) -> None:
        one = slice(moment, moment + 1)
        raster.draw(stage.bones[one], stage.levels[one], poses[one], intrinsics)

    return draw


def pyrender_way(stage: Stage, size: int) -> Callable[[int], None]:
    """The first thing that one writes with pyrender: a rigid mesh for each part, two renders for each view."""
    gl_context()
    import pyrender
    from pyrender.constants import RenderFlags

    mesh = stage.meshes[0]
    scene = pyrender.Scene(ambient_light=[0.5, 0.5, 0.5])
    for panel in room_panels(stage.scene.room, stage.box):
        material = pyrender.MetallicRoughnessMaterial(
            baseColorTexture=pyrender.Texture(source=panel.texture, source_channels="RGB"), metallicFactor=0.0
        )
        colour = np.concatenate([panel.colours, np.ones((len(panel.colours), 1))], axis=1)
        primitive = pyrender.Primitive(
            positions=panel.vertices, normals=panel.normals, texcoord_0=panel.uv, color_0=colour,
            indices=panel.faces, material=material,
        )  # fmt: skip
        scene.add(pyrender.Mesh([primitive]))
    nodes: list[tuple[int, Any]] = []
    of_face = mesh.part[mesh.faces[:, 0]]
    from_bind = np.linalg.inv(mesh.bind)
    for part in range(1, len(PARTS)):
        used, faces = np.unique(mesh.faces[of_face == part], return_inverse=True)
        turn = from_bind[part - 1]
        colour = np.concatenate([mesh.colours[used], np.ones((len(used), 1))], axis=1)
        primitive = pyrender.Primitive(
            positions=mesh.vertices[used] @ turn[:3, :3].T + turn[:3, 3], normals=mesh.normals[used] @ turn[:3, :3].T,
            color_0=colour, indices=faces.reshape(-1, 3),
            material=pyrender.MetallicRoughnessMaterial(metallicFactor=0.0, roughnessFactor=0.9),
        )  # fmt: skip
        nodes.append((part, scene.add(pyrender.Mesh([primitive]))))
    lamp = pyrender.DirectionalLight(intensity=3.0)
    down = np.eye(4)
    down[:3, :3] = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    down[:3, 3] = [0.0, 3.0, 0.0]
    scene.add(lamp, pose=down)
    k = stage.cameras[0].intrinsics
    camera = scene.add(pyrender.IntrinsicsCamera(k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5, 0.1, 80.0))
    renderer = gl_context().offscreen
    renderer.viewport_width = renderer.viewport_height = size
    ids = {node: [part] * 3 for part, node in nodes}

    def draw(moment: int) -> None:
        for part, node in nodes:
            scene.set_pose(node, stage.bones[moment, part - 1])
        for view in stage.cameras:
            scene.set_pose(camera, view.world_from_camera[moment] @ OPENCV_FROM_OPENGL)
            camera.camera.fx = camera.camera.fy = view.intrinsics[0, 0]
            renderer.render(scene, flags=RenderFlags.SHADOWS_DIRECTIONAL)
            renderer.render(scene, flags=RenderFlags.SEG, seg_node_map=ids)

    return draw


if __name__ == "__main__":
    main()
