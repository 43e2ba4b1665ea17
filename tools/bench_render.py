"""How fast pictures are drawn and made into video here: pyrender's own way against ours.

    LP_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m tools.bench_render [--processes 1,2] [--effort quick] [--json]

The baseline is what one writes first: one pyrender mesh for each body part, a
room, a directional light with shadows, `OffscreenRenderer.render` once for the
colours and once with flat colours for the masks, for each view. Ours is
`workers.render`, with the same geometry, colours, masks and shadows. Both draw
walks from the norm curves (`tests.norm_walk`) seen by the three standard views,
of several people in the places that a campaign draws, passers-by included.

In the JSON, speeds are pictures of one view a second:
    baseline_fps            the baseline's, one process
    fps                     ours with masks, boxes and the keypoints' visibility, one process
    passers_by              other people in the scenes of one process
    processes               the same for several processes together (wall time), drawn only, and encoded, too
    stages_ms               where the time of one picture goes, one process, each stage run to its end
    video_kB_per_10s        bytes of one view, encoded as the campaign says
    psnr_db                 of the decoded video against what was drawn, the worst view
    keypoint_in_own_part    share of the visible keypoints whose pixel in the mask is a part of their own flesh
`baseline_fps`, `fps` and `stages_ms` count the processor's time where the
processor draws (a busy machine does not blur that), else wall time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

from farm.config import Campaign, Pictures
from farm.dataset.encode_view import encode_view
from farm.dataset.video import EFFORTS, Effort, decode, psnr_db
from farm.gait.keypoints import own_parts
from farm.gait.labels import gait_labels
from farm.records import FrameSet, GaitLabels, GaitParameters
from farm.sampling.anatomy import KEYPOINTS, anatomy
from scenes.body import PARTS, BodyMesh
from scenes.occlusion import VISIBLE, OcclusionWorld
from tests.norm_walk import norm_walk
from workers.render import raster as raster_module
from workers.render.context import gl_context
from workers.render.film import Stage, make_raster, occlusion_world, set_stage, shoot
from workers.render.skinned import SkinnedMesh

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
FIRST_SAMPLE = 3
SAMPLES = 4
"""People, each in a place of their own, over whom one process's figures are taken."""

BASELINE_MOMENTS = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="breadth and height of the pictures in pixels")
    parser.add_argument("--walk", type=float, default=4.0, metavar="SECONDS", help="length of each walk")
    parser.add_argument("--processes", default="1,2", help="numbers of processes, separated by commas")
    parser.add_argument("--effort", choices=EFFORTS, default="fine", help="of the films' encoder")
    parser.add_argument("--seconds", type=float, default=5.0, help="least time of each measurement")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write a few pictures there")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    counts = [int(word) for word in arguments.processes.split(",")]
    report = in_processes(
        1, single, arguments.size, arguments.walk, arguments.effort, arguments.seconds, arguments.pictures
    )[0]
    report["processes"] = [
        together(count, arguments.size, arguments.walk, arguments.effort, arguments.seconds) for count in counts
    ]
    if arguments.json:
        print(json.dumps(report))
    else:
        show(report)


def show(report: dict[str, Any]) -> None:
    """The table for people."""
    size = report["size"]
    print(f"{report['renderer']}, {size}x{size}, colour with shadows, mask and keypoint visibility")
    print(f"pyrender, a mesh for each part {report['baseline_fps']:10.1f} pictures/s")
    print(f"workers.render                 {report['fps']:10.1f} pictures/s, {report['ratio']:.1f} times as many")
    print("milliseconds a picture: " + ", ".join(f"{name} {ms:.2f}" for name, ms in report["stages_ms"].items()))
    print(f"once a walk: {report['stage_s']:.2f} s to dress the walker and set the stage")
    print(f"video: {report['video_kB_per_10s']:.0f} kB per 10 s and view, {report['psnr_db']:.1f} dB")
    print(f"visible keypoints in their own part: {100 * report['keypoint_in_own_part']:.1f}%")
    print(f"{'processes':>10}{'drawn':>10}{'with labels':>13}{'encoded':>10}   pictures/s of wall time, together")
    for row in report["processes"]:
        print(f"{row['processes']:10}{row['draw_fps']:10.0f}{row['fps']:13.0f}{row['encoded_fps']:10.0f}")


def walk_on_stage(sample: int, size: int, walk_s: float, effort: Effort) -> tuple[Campaign, Stage, GaitLabels]:
    """One sample's walk, dressed and staged."""
    parameters = GaitParameters(sample_id=sample)
    body, walk = anatomy(parameters), norm_walk(parameters, duration_s=walk_s)
    campaign = Campaign(name="bench", samples=64, pictures=Pictures(image_size=(size, size), effort=effort))
    labels = gait_labels(walk, body, frame_rate_hz=campaign.pictures.frame_rate_hz)
    return campaign, set_stage(campaign, parameters, body, walk, labels), labels


def in_processes(count: int, work: Callable[..., dict[str, Any]], *arguments: Any) -> list[dict[str, Any]]:
    """Run `work(number, barrier, *arguments)` in so many new processes at once; what each returns."""
    context = multiprocessing.get_context("spawn")  # a GL context does not survive a fork
    results: Queue[dict[str, Any]] = context.Queue()
    barrier = context.Barrier(count)
    processes = [
        context.Process(target=_run, args=(results, work, number, barrier, *arguments)) for number in range(count)
    ]
    for process in processes:
        process.start()
    try:
        return [results.get(timeout=600) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=30)


def _run(results: Queue[dict[str, Any]], work: Callable[..., dict[str, Any]], *arguments: Any) -> None:
    results.put(work(*arguments))


def together(count: int, size: int, walk_s: float, effort: Effort, seconds: float) -> dict[str, Any]:
    """Speeds of `count` processes that work at the same time, added up."""
    rows = in_processes(count, one_of_many, size, walk_s, effort, seconds)
    names = ("draw_fps", "fps", "encoded_fps")
    return {"processes": count, **{name: sum(row[name] for row in rows) for name in names}}


def one_of_many(
    number: int, barrier: Barrier, size: int, walk_s: float, effort: Effort, seconds: float
) -> dict[str, Any]:
    """What one process manages while others do the same: drawing, with all labels, with the video, too."""
    campaign, stage, labels = walk_on_stage(FIRST_SAMPLE + number, size, walk_s, effort)
    steps: dict[str, Callable[[], Any]] = {
        "draw_fps": drawer(campaign, stage),
        "fps": lambda: shoot(campaign, stage, labels),
        "encoded_fps": lambda: videos(campaign, shoot(campaign, stage, labels)),
    }
    pictures = len(stage.bones) * len(stage.cameras)
    steps["draw_fps"]()  # the driver compiles programs at their first use
    speeds = {}
    for name, step in steps.items():
        barrier.wait(timeout=300)
        speeds[name] = pictures / repeated(step, seconds, time.perf_counter)
    return speeds


def single(
    number: int, barrier: Barrier, size: int, walk_s: float, effort: Effort, seconds: float, out: Path | None
) -> dict[str, Any]:
    """Everything that is measured with one process alone, over all the people."""
    del number, barrier
    rows = [
        one_person(FIRST_SAMPLE + number, size, walk_s, effort, seconds / SAMPLES, out) for number in range(SAMPLES)
    ]
    spent = {name: float(np.mean([row[name] for row in rows])) for name in ("baseline_s", "ours_s", "stage_s")}
    stages = {name: float(np.mean([row["stages_ms"][name] for row in rows])) for name in rows[0]["stages_ms"]}
    return {
        "renderer": gl_context().renderer,
        "size": size,
        "passers_by": sum(row["passers_by"] for row in rows),
        "baseline_fps": 1.0 / spent["baseline_s"],
        "fps": 1.0 / spent["ours_s"],
        "ratio": spent["baseline_s"] / spent["ours_s"],
        "stage_s": spent["stage_s"],
        "stages_ms": stages,
        "video_kB_per_10s": float(np.mean([row["video_kB_per_10s"] for row in rows])),
        "psnr_db": min(row["psnr_db"] for row in rows),
        "keypoint_in_own_part": float(np.mean([row["keypoint_in_own_part"] for row in rows])),
    }


def one_person(
    sample: int, size: int, walk_s: float, effort: Effort, seconds: float, out: Path | None
) -> dict[str, Any]:
    """One walk's figures; times are seconds a picture."""
    clock = time.process_time if gl_context().software else time.perf_counter
    begun = clock()
    campaign, stage, labels = walk_on_stage(sample, size, walk_s, effort)
    stage_s = clock() - begun
    film = shoot(campaign, stage, labels)  # the driver compiles programs at their first use
    pictures = len(stage.bones) * len(stage.cameras)
    ours_s = repeated(lambda: shoot(campaign, stage, labels), seconds, clock) / pictures
    clips = videos(campaign, film)
    seconds_filmed = len(stage.bones) / labels.frame_rate_hz
    if out is not None:
        write_pictures(film, out / str(sample))
    return {
        "passers_by": len(stage.setting.passers_by),
        "baseline_s": baseline_seconds(stage, size, clock),
        "ours_s": ours_s,
        "stage_s": stage_s,
        "stages_ms": stages_ms(campaign, stage, labels, film, clock),
        "video_kB_per_10s": float(np.mean([len(clip) for clip in clips])) / 1000.0 * 10.0 / seconds_filmed,
        "psnr_db": min(psnr_db(view.rgb, decode(clip)) for view, clip in zip(film.views, clips, strict=True)
                       if view.rgb is not None),
        "keypoint_in_own_part": keypoint_in_own_part(film),
    }  # fmt: skip


def baseline_seconds(stage: Stage, size: int, clock: Callable[[], float]) -> float:
    """Seconds that pyrender takes for one picture, over a few moments of the walk."""
    draw = pyrender_way(stage, size)
    moments = np.linspace(0, len(stage.bones) - 1, BASELINE_MOMENTS).astype(int).tolist()
    draw(moments[0])
    begun = clock()
    for moment in moments:
        draw(moment)
    return (clock() - begun) / (len(moments) * len(stage.cameras))


def repeated(step: Callable[[], Any], seconds: float, clock: Callable[[], float]) -> float:
    """Mean seconds of a step, repeated until the time is up."""
    begun, count = clock(), 0
    while count == 0 or clock() - begun < seconds:
        step()
        count += 1
    return (clock() - begun) / count


def drawer(campaign: Campaign, stage: Stage) -> Callable[[], Any]:
    """Draws the whole walk with its masks and does nothing else."""
    raster = make_raster(campaign, stage)
    poses = np.stack([camera.world_from_camera for camera in stage.cameras], axis=1)
    intrinsics = np.stack([camera.intrinsics for camera in stage.cameras])
    others = [person.bones for person in stage.setting.passers_by]
    return lambda: raster.draw(stage.bones, stage.levels, poses, intrinsics, passers_by=others)


def videos(campaign: Campaign, film: FrameSet) -> list[bytes]:
    """Each view as the campaign has it encoded."""
    return [
        encode_view(view.rgb, view.bbox, campaign.pictures, crf=view.crf) for view in film.views if view.rgb is not None
    ]


def keypoint_in_own_part(film: FrameSet) -> float:
    """Share of the visible keypoints whose pixel in the mask is a part of their own flesh."""
    hits = []
    for view in film.views:
        for column, name in enumerate(KEYPOINTS):
            own = [PARTS.index(part) for part in own_parts(name)]
            seen = np.flatnonzero(view.visibility[:, column] == VISIBLE)
            x, y = np.rint(view.keypoints_2d[seen, column]).astype(int).T
            if view.mask is not None:
                hits.append(np.isin(view.mask[seen, y, x], own))
    return float(np.concatenate(hits).mean())


def stages_ms(
    campaign: Campaign, stage: Stage, labels: GaitLabels, film: FrameSet, clock: Callable[[], float]
) -> dict[str, float]:
    """Milliseconds that one picture spends in each stage. GL finishes each stage before the next begins."""
    from OpenGL import GL

    spent: dict[str, float] = {}
    inner = [0.0]

    def timed(name: str, owner: Any, attribute: str) -> tuple[Any, str, Any]:
        original = getattr(owner, attribute)

        def run(*given: Any, **named: Any) -> Any:
            GL.glFinish()
            begun = clock()
            inner.append(0.0)
            result = original(*given, **named)
            GL.glFinish()
            taken = clock() - begun
            spent[name] = spent.get(name, 0.0) + taken - inner.pop()
            inner[-1] += taken
            return result

        setattr(owner, attribute, run)
        return owner, attribute, original

    kind = raster_module.Raster
    draw = drawer(campaign, stage)
    draw()
    changed = [
        timed("skin", SkinnedMesh, "pose"),
        timed("draw", kind, "draw"),
        timed("read", kind, "_read_colours"),
        timed("read", kind, "_resolve"),
        timed("read", kind, "_pack"),
        timed("read", raster_module, "read_numbers"),
        timed("visibility", OcclusionWorld, "visibility"),
    ]
    try:
        draw()
        with occlusion_world(stage) as world:
            world.visibility(stage.bones, labels.keypoints_3d, stage.cameras)
    finally:
        for owner, attribute, original in changed:
            setattr(owner, attribute, original)
    begun = clock()
    videos(campaign, film)
    spent["encode"] = clock() - begun
    pictures = len(stage.bones) * len(stage.cameras)
    return {name: 1000.0 * total / pictures for name, total in spent.items()}


def write_pictures(film: FrameSet, out: Path) -> None:
    """Four moments of every view, pictures above masks, as PNG."""
    from PIL import Image

    out.mkdir(parents=True, exist_ok=True)
    moments = np.linspace(0, len(film.views[0].keypoints_2d) - 1, 4).astype(int)
    for view in film.views:
        if view.rgb is not None and view.mask is not None:
            colours = np.concatenate(list(view.rgb[moments]), axis=1)
            parts = np.concatenate(list(view.mask[moments]), axis=1)
            grey = np.repeat((parts.astype(int) * 255 // len(PARTS)).astype(np.uint8)[..., None], 3, axis=-1)
            Image.fromarray(np.concatenate([colours, grey])).save(out / f"{view.view}.png")


def pyrender_way(stage: Stage, size: int) -> Callable[[int], None]:
    """The first thing that one writes with pyrender: a rigid mesh for each part, two renders for each view."""
    gl_context()
    import pyrender
    from pyrender.constants import RenderFlags

    scene = pyrender.Scene(ambient_light=[0.5, 0.5, 0.5])
    for panel in stage.setting.panels:
        material = pyrender.MetallicRoughnessMaterial(
            baseColorTexture=pyrender.Texture(source=panel.texture, source_channels="RGB"), metallicFactor=0.0
        )
        colour = np.concatenate([panel.colours, np.ones((len(panel.colours), 1))], axis=1)
        primitive = pyrender.Primitive(
            positions=panel.vertices, normals=panel.normals, texcoord_0=panel.uv, color_0=colour,
            indices=panel.faces, material=material,
        )  # fmt: skip
        scene.add(pyrender.Mesh([primitive]))
    walker = part_nodes(scene, stage.meshes[0])
    people = [(walker, stage.bones)]
    people += [(part_nodes(scene, person.mesh), person.bones) for person in stage.setting.passers_by]
    lamp = pyrender.DirectionalLight(intensity=3.0)
    down = np.eye(4)
    down[:3, :3] = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    down[:3, 3] = [0.0, 3.0, 0.0]
    scene.add(lamp, pose=down)
    k = stage.cameras[0].intrinsics
    camera = scene.add(pyrender.IntrinsicsCamera(k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5, 0.1, 80.0))
    renderer = gl_context().offscreen
    renderer.viewport_width = renderer.viewport_height = size
    ids = {node: [part] * 3 for part, node in walker}

    def draw(moment: int) -> None:
        for nodes, bones in people:
            for part, node in nodes:
                scene.set_pose(node, bones[moment, part - 1])
        for view in stage.cameras:
            scene.set_pose(camera, view.world_from_camera[moment] @ OPENCV_FROM_OPENGL)
            camera.camera.fx = camera.camera.fy = view.intrinsics[0, 0]
            renderer.render(scene, flags=RenderFlags.SHADOWS_DIRECTIONAL)
            renderer.render(scene, flags=RenderFlags.SEG, seg_node_map=ids)

    return draw


def part_nodes(scene: Any, mesh: BodyMesh) -> list[tuple[int, Any]]:
    """Add a person to pyrender's scene, a rigid mesh for each part: part ids and their nodes."""
    import pyrender

    nodes = []
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
    return nodes


if __name__ == "__main__":
    main()
