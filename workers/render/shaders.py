"""The GL programs: room far from and near the person, person, shadow map, mask.

They are short on purpose: on a processor (llvmpipe) a picture costs what its
fragments cost, and pyrender's physically based shader takes most of its time.
Attribute places are pyrender's: position, normal, texture coordinate, colour.
"""

from __future__ import annotations

_SHADOW = """
uniform sampler2DShadow shadow_map;
uniform vec4 shadow_bounds;
float lamp_reaches(vec3 at, float spread) {
    bool maybe = all(greaterThan(at.xy, shadow_bounds.xy)) && all(lessThan(at.xy, shadow_bounds.zw));
    float light = 1.0;
    at.z = min(at.z, 1.0);
    for (int once = 0; once < (maybe ? 1 : 0); ++once) {
        light = texture(shadow_map, at);
        light += texture(shadow_map, at + vec3(spread, 0.4 * spread, 0.0));
        light += texture(shadow_map, at + vec3(-0.4 * spread, spread, 0.0));
        light += texture(shadow_map, at + vec3(-spread, -0.4 * spread, 0.0));
        light += texture(shadow_map, at + vec3(0.4 * spread, -spread, 0.0));
        light *= 0.2;
    }
    return light;
}
"""
"""A loop that runs once or never is llvmpipe's only real branch: it works off both sides of an `if`."""

ROOM_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 coordinate;
layout(location = 3) in vec4 colour;
uniform mat4 clip_from_world;
uniform mat4 shadow_from_world;
uniform vec3 to_lamp;
uniform vec3 key;
uniform vec3 sky;
uniform vec3 ground;
out vec3 world;
out vec2 texel;
out vec3 shadow_place;
out vec3 from_around;
out vec3 from_lamp;
flat out vec3 facing;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    world = position;
    texel = coordinate;
    shadow_place = (shadow_from_world * vec4(position + 0.012 * normal, 1.0)).xyz;
    vec3 tint = colour.rgb * colour.rgb;
    from_around = tint * mix(ground, sky, 0.5 + 0.5 * normal.y);
    from_lamp = tint * key * max(dot(normal, to_lamp), 0.0);
    facing = normal;
}
"""
"""The room's faces are flat, so their light is worked out at the corners. Colours are squared here and
rooted at the end: light adds up in nearly linear values (gamma 2)."""

_ROOM_MAIN = """
in vec3 world;
in vec2 texel;
in vec3 shadow_place;
in vec3 from_around;
in vec3 from_lamp;
flat in vec3 facing;
uniform vec3 eye;
uniform vec3 sky;
uniform float gloss;
uniform sampler2D surface;
out vec4 pixel;
void main() {
    vec3 pattern = texture(surface, texel).rgb;
    float lamp = LAMP;
    float around = AROUND;
    vec3 v = normalize(eye - world);
    float grazing = 1.0 - max(dot(facing, v), 0.0);
    grazing *= grazing;
    vec3 result = pattern * pattern * (from_around * around + from_lamp * lamp);
    result += gloss * 0.22 * grazing * grazing * around * sky;
    pixel = vec4(sqrt(min(result, 1.0)), 1.0);
}
"""

ROOM_FRAGMENT = "#version 330 core\n" + _ROOM_MAIN.replace("LAMP", "1.0").replace("AROUND", "1.0")
"""The room where the person is far: every picture is mostly this, so it is short."""

ROOM_SHADED_FRAGMENT = (
    "#version 330 core\n"
    + _SHADOW
    + """
uniform vec3 feet[4];
uniform float feet_reach;
float feet_leave(vec3 place) {
    float share = 1.0;
    vec3 off = abs(place - 0.25 * (feet[0] + feet[1] + feet[2] + feet[3]));
    int count = place.y < 0.01 && max(off.x, off.z) < feet_reach ? 4 : 0;
    for (int i = 0; i < count; ++i) {
        vec3 d = place - feet[i];
        share *= 1.0 - 0.55 * exp(-(d.x * d.x + d.z * d.z) * 110.0 - feet[i].y * 22.0);
    }
    return share;
}
"""
    + _ROOM_MAIN.replace("LAMP", "lamp_reaches(shadow_place, 0.0035)").replace("AROUND", "feet_leave(world)")
)
"""The room near the person: with the cast shadow and the dark where feet meet the floor."""

PERSON_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 coordinate;
layout(location = 3) in vec4 colour;
uniform mat4 clip_from_world;
uniform mat4 shadow_from_world;
out vec3 world;
out vec3 facing;
out vec3 tint;
out vec3 shadow_place;
out float shine;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    world = position;
    facing = normal;
    tint = colour.rgb * colour.rgb;
    shine = coordinate.x;
    shadow_place = (shadow_from_world * vec4(position + 0.012 * normal, 1.0)).xyz;
}
"""

PERSON_FRAGMENT = (
    "#version 330 core\n"
    + _SHADOW
    + """
in vec3 world;
in vec3 facing;
in vec3 tint;
in vec3 shadow_place;
in float shine;
uniform vec3 eye;
uniform vec3 to_lamp;
uniform vec3 key;
uniform vec3 sky;
uniform vec3 ground;
out vec4 pixel;
const float wrap = 0.25;
void main() {
    vec3 n = normalize(facing);
    float lamp = max((dot(n, to_lamp) + wrap) / (1.0 + wrap), 0.0) * lamp_reaches(shadow_place, 0.0015);
    vec3 result = tint * (mix(ground, sky, 0.5 + 0.5 * n.y) + key * lamp);
    vec3 v = normalize(eye - world);
    float grazing = 1.0 - max(dot(n, v), 0.0);
    grazing *= grazing;
    float spot = pow(max(dot(n, normalize(v + to_lamp)), 0.0), 32.0);
    result += shine * (0.22 * grazing * grazing * sky + 0.18 * spot * lamp * key);
    pixel = vec4(sqrt(clamp(result, 0.0, 1.0)), 1.0);
}
"""
)

DEPTH_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
uniform mat4 clip_from_world;
void main() { gl_Position = clip_from_world * vec4(position, 1.0); }
"""
DEPTH_FRAGMENT = """#version 330 core
void main() {}
"""

PART_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 2) in vec2 coordinate;
uniform mat4 clip_from_world;
flat out float part;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    part = coordinate.y;
}
"""
PART_FRAGMENT = """#version 330 core
flat in float part;
out vec4 pixel;
void main() { pixel = vec4(part / 255.0, 0.0, 0.0, 1.0); }
"""
