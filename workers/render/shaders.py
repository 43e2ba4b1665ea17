"""The GL programs: skin, room far from and near the figures, figures, shadow map, labels.

They are short on purpose: on a processor (llvmpipe) a picture costs what its
fragments cost, and pyrender's physically based shader takes most of its time.
Attribute places are pyrender's: position, normal, texture coordinate, colour
(its fourth number is a panel's gloss).

`FIGURES` stands for how many people there are (the walker and passers-by): each
has a shadow map and feet of its own.
"""

from __future__ import annotations

import re

import numpy as np

FEET = 4
"""Heels and balls of both feet."""

_BLOCKS = """#version 330 core
#define FIGURES __FIGURES__
layout(std140, row_major) uniform Shot {
    mat4 clip_from_world;
    vec4 eye;
    mat4 shadow_from_world[FIGURES];
    vec4 shadow_bounds[FIGURES];
    vec4 feet[FIGURES * 4];
    vec4 stand[FIGURES];
};
layout(std140) uniform Lamp {
    vec4 to_lamp;
    vec4 key;
    vec4 sky;
    vec4 ground;
    vec4 to_fill;
    vec4 fill;
};
"""
"""What programs share: `Shot` for one picture of one view, `Lamp` for the whole scene. `stand` is the middle of a
figure's feet, and how far from it the floor is darker; `key`'s fourth number is how broad shadows' edges are far from
the feet, as a share of the shadow map."""

_EACH_FIGURE = re.compile(re.escape("for (int figure = 0; figure < FIGURES; ++figure)"))

BLOCK_NAMES = ("Shot", "Lamp")

LAMP_RECORD = np.dtype([(name, np.float32, 4) for name in ("to_lamp", "key", "sky", "ground", "to_fill", "fill")])


def shot_record(figures: int) -> np.dtype[np.void]:
    """Layout of one `Shot`."""
    return np.dtype(
        [
            ("clip_from_world", np.float32, (4, 4)),
            ("eye", np.float32, 4),
            ("shadow_from_world", np.float32, (figures, 4, 4)),
            ("shadow_bounds", np.float32, (figures, 4)),
            ("feet", np.float32, (figures, FEET, 4)),
            ("stand", np.float32, (figures, 4)),
        ]
    )


def source(text: str, figures: int) -> str:
    """A program's text for so many figures.

    Loops over the figures are written out: llvmpipe finds its place in arrays for each pixel, else, which
    took as long again as half of all the rest.
    """
    text = text.replace("__FIGURES__", str(figures))
    while loop := _EACH_FIGURE.search(text):
        first = end = loop.end()
        depth = 0
        while True:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
            if depth == 0 and text[end - 1] in ";}":
                break
        turns = (re.sub(r"\bfigure\b", str(number), text[first:end]) for number in range(figures))
        text = text[: loop.start()] + "".join(f"{{{turn} }}" for turn in turns) + text[end:]
    return text


SKIN_VERTEX = """#version 330 core
layout(location = 0) in vec4 bind;
layout(location = 1) in vec3 bind_normal;
layout(location = 2) in vec4 bone;
layout(location = 3) in vec4 share;
uniform samplerBuffer bones;
uniform int bone_count;
uniform float lowest;
out vec3 position;
out vec3 normal;
void main() {
    vec4 x = vec4(0.0), y = vec4(0.0), z = vec4(0.0);
    for (int slot = 0; slot < 4; ++slot) {
        int row = 3 * (gl_InstanceID * bone_count + int(bone[slot]));
        x += share[slot] * texelFetch(bones, row);
        y += share[slot] * texelFetch(bones, row + 1);
        z += share[slot] * texelFetch(bones, row + 2);
    }
    vec4 at = vec4(bind.xyz, 1.0);
    position = vec3(dot(x, at), dot(y, at), dot(z, at));
    if (bind.w > 0.5) position.y = max(position.y, lowest);
    normal = normalize(vec3(dot(x.xyz, bind_normal), dot(y.xyz, bind_normal), dot(z.xyz, bind_normal)));
}
"""
"""Linear blend skinning as `scenes.body.Skin` does it, for the moment `gl_InstanceID`."""

TAPS = 10
"""Of the shadow map in a shadow's soft edge, on a spiral that fills a disc evenly (Vogel 1979)."""


def _taps() -> str:
    number = np.arange(TAPS)
    radius, turn = np.sqrt((number + 0.5) / TAPS), number * np.pi * (3.0 - np.sqrt(5.0))
    return "\n".join(
        f"            share += {1.0 / TAPS} * texture(shadow_map, place + spread * vec4({x:.4f}, {y:.4f}, 0.0, 0.0));"
        for x, y in zip(radius * np.cos(turn), radius * np.sin(turn), strict=True)
    )


_SHADOW = """
uniform sampler2DArrayShadow shadow_map;
in vec3 shadow_place[FIGURES];
float lamp_reaches(vec3 at_floor) {
    float light = 1.0;
    for (int figure = 0; figure < FIGURES; ++figure) {
        vec3 at = shadow_place[figure];
        vec4 bounds = shadow_bounds[figure];
        bool maybe = all(greaterThan(at.xy, bounds.xy)) && all(lessThan(at.xy, bounds.zw));
        vec4 place = vec4(at.xy, float(figure), min(at.z, 1.0));
        for (int once = 0; once < (maybe ? 1 : 0); ++once) {
            float spread = max(key.w * min(length(at_floor - stand[figure].xyz), 1.0), 0.001);
            float share = 0.0;
__TAPS__
            light *= share;
        }
    }
    return light;
}
float lamp_reaches_sharply() {
    float light = 1.0;
    for (int figure = 0; figure < FIGURES; ++figure) {
        vec3 at = shadow_place[figure];
        vec4 bounds = shadow_bounds[figure];
        bool inside = all(greaterThan(at.xy, bounds.xy)) && all(lessThan(at.xy, bounds.zw));
        float share = texture(shadow_map, vec4(at.xy, float(figure), min(at.z, 1.0)));
        light *= inside ? share : 1.0;
    }
    return light;
}
""".replace("__TAPS__", _taps())
"""The edge of a shadow is the broader, the farther from the feet it falls, for what casts it there is higher above the
floor. A loop that runs once or never is llvmpipe's only real branch: it works off both sides of an `if`."""

ROOM_VERTEX = (
    _BLOCKS
    + """
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 coordinate;
layout(location = 3) in vec4 colour;
invariant gl_Position;
out vec3 world;
out vec2 texel;
out vec3 shadow_place[FIGURES];
out vec3 from_around;
out vec3 from_lamp;
flat out vec3 facing;
flat out float gloss;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    world = position;
    texel = coordinate;
    for (int figure = 0; figure < FIGURES; ++figure)
        shadow_place[figure] = (shadow_from_world[figure] * vec4(position + 0.012 * normal, 1.0)).xyz;
    vec3 tint = colour.rgb * colour.rgb;
    vec3 soft = mix(ground.rgb, sky.rgb, 0.5 + 0.5 * normal.y) + fill.rgb * max(dot(normal, to_fill.xyz), 0.0);
    from_around = tint * soft;
    from_lamp = tint * key.rgb * max(dot(normal, to_lamp.xyz), 0.0);
    facing = normal;
    gloss = colour.a;
}
"""
)
"""The room's faces are flat, so their light is worked out at the corners. Colours are squared here and
rooted at the end: light adds up in nearly linear values (gamma 2)."""

_ROOM_MAIN = """
in vec3 world;
in vec2 texel;
in vec3 from_around;
in vec3 from_lamp;
flat in vec3 facing;
flat in float gloss;
uniform sampler2D surface;
out vec4 pixel;
void main() {
    vec3 pattern = texture(surface, texel).rgb;
    float lamp = LAMP;
    float around = AROUND;
    vec3 v = normalize(eye.xyz - world);
    float grazing = 1.0 - max(dot(facing, v), 0.0);
    grazing *= grazing;
    vec3 result = pattern * pattern * (from_around * around + from_lamp * lamp);
    result += gloss * 0.22 * grazing * grazing * around * sky.rgb;
    pixel = vec4(sqrt(min(result, 1.0)), 1.0);
}
"""

ROOM_FRAGMENT = _BLOCKS + _ROOM_MAIN.replace("LAMP", "1.0").replace("AROUND", "1.0")
"""The room where the person is far: every picture is mostly this, so it is short."""

ROOM_SHADED_FRAGMENT = (
    _BLOCKS
    + _SHADOW
    + """
float feet_leave(vec3 place) {
    float share = 1.0;
    for (int figure = 0; figure < FIGURES; ++figure) {
        vec3 off = abs(place - stand[figure].xyz);
        int count = place.y < 0.01 && max(off.x, off.z) < stand[figure].w ? 4 : 0;
        for (int i = 0; i < count; ++i) {
            vec4 foot = feet[4 * figure + i];
            vec3 d = place - foot.xyz;
            share *= 1.0 - 0.55 * exp(-(d.x * d.x + d.z * d.z) * 110.0 - foot.y * 22.0);
        }
    }
    return share;
}
"""
    + _ROOM_MAIN.replace("LAMP", "lamp_reaches(world)").replace("AROUND", "feet_leave(world)")
)
"""The room near the figures: with the cast shadows and the dark where feet meet the floor."""

PERSON_VERTEX = (
    _BLOCKS
    + """
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 coordinate;
layout(location = 3) in vec4 colour;
layout(location = 4) in vec3 cloth;
layout(location = 5) in vec3 accent;
centroid out vec3 from_around;
centroid out vec3 from_lamp;
out vec3 on_cloth;
flat out vec3 accent_light;
out vec3 shadow_place[FIGURES];
const float wrap = 0.25;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    vec3 tint = colour.rgb * colour.rgb;
    float shine = coordinate.x;
    vec3 v = normalize(eye.xyz - position);
    float grazing = 1.0 - max(dot(normal, v), 0.0);
    float lamp = max((dot(normal, to_lamp.xyz) + wrap) / (1.0 + wrap), 0.0);
    float spot = pow(max(dot(normal, normalize(v + to_lamp.xyz)), 0.0), 32.0);
    vec3 soft = mix(ground.rgb, sky.rgb, 0.5 + 0.5 * normal.y) + fill.rgb * max(dot(normal, to_fill.xyz), 0.0);
    from_around = tint * soft + shine * 0.22 * grazing * grazing * sky.rgb;
    from_lamp = (tint + shine * 0.18 * spot) * lamp * key.rgb;
    on_cloth = cloth;
    accent_light = accent * accent / max(tint, 1e-4);
    for (int figure = 0; figure < FIGURES; ++figure)
        shadow_place[figure] = (shadow_from_world[figure] * vec4(position + 0.012 * normal, 1.0)).xyz;
}
"""
)
"""Light is worked out at the corners: triangles of a person are about as large as pixels, and then each of them makes
a processor shade 16 pixels. `centroid`: else the light of pixels of which a triangle holds but a corner is worked out
at their middle, beyond the triangle. `cloth` is where in a pattern's tile a point of cloth is, and the tile's number;
cloth does not shine, so its second colour is the first one's light times `accent_light`."""

PERSON_FRAGMENT = (
    _BLOCKS
    + _SHADOW
    + """
centroid in vec3 from_around;
centroid in vec3 from_lamp;
in vec3 on_cloth;
flat in vec3 accent_light;
uniform sampler2DArray patterns;
out vec4 pixel;
void main() {
    vec3 result = from_around + from_lamp * lamp_reaches_sharply();
    result *= mix(vec3(1.0), accent_light, texture(patterns, on_cloth).r);
    pixel = vec4(sqrt(clamp(result, 0.0, 1.0)), 1.0);
}
"""
)

SHADOW_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
uniform mat4 clip_from_world;
void main() { gl_Position = clip_from_world * vec4(position, 1.0); }
"""
SHADOW_FRAGMENT = """#version 330 core
void main() {}
"""

LABEL_VERTEX = (
    _BLOCKS
    + """
layout(location = 0) in vec3 position;
layout(location = 2) in vec2 coordinate;
uniform int labelled;
flat out float part;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    part = labelled == 1 ? coordinate.y : 0.0;
}
"""
)
LABEL_FRAGMENT = """#version 330 core
flat in float part;
layout(location = 0) out vec4 number;
layout(location = 1) out vec4 distance_m;
void main() {
    number = vec4(part / 255.0, 0.0, 0.0, 1.0);
    distance_m = vec4(1.0 / gl_FragCoord.w, 0.0, 0.0, 1.0);
}
"""
"""Part ids of the walker, 0 for everything else; `1 / gl_FragCoord.w` is the distance along the optical axis."""

PACK_VERTEX = """#version 330 core
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0); }
"""
PACK_FRAGMENT = """#version 330 core
uniform sampler2D picture;
out vec4 pixel;
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    pixel = vec4(texelFetch(picture, ivec2(at.x / 3, at.y), 0)[at.x % 3]);
}
"""
"""One triangle over everything: each pixel's three colours side by side."""
