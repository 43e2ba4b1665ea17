"""The GL programs: one for what is lit, one for the shadow map, one for the mask.

They are short on purpose: on a processor (llvmpipe) a picture costs what its
fragments cost, and pyrender's physically based shader takes most of its time.
Attribute places are pyrender's: position, normal, texture coordinate, colour.
"""

from __future__ import annotations

LIT_VERTEX = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 coordinate;
layout(location = 3) in vec4 colour;
uniform mat4 clip_from_world;
uniform mat4 shadow_from_world;
out vec3 world;
out vec3 facing;
out vec2 texel;
out vec3 tint;
out vec3 shadow_place;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    world = position;
    facing = normal;
    texel = coordinate;
    tint = colour.rgb * colour.rgb;
    shadow_place = (shadow_from_world * vec4(position + 0.012 * normal, 1.0)).xyz;
}
"""
"""Colours are squared here and rooted at the end: light adds up in nearly linear values (gamma 2)."""

LIT_FRAGMENT = """#version 330 core
in vec3 world;
in vec3 facing;
in vec2 texel;
in vec3 tint;
in vec3 shadow_place;
uniform vec3 eye;
uniform vec3 to_lamp;
uniform vec3 key;
uniform vec3 sky;
uniform vec3 ground;
uniform float gloss;
uniform float wrap;
uniform int is_person;
uniform int with_shadows;
uniform vec3 feet[4];
uniform sampler2D surface;
uniform sampler2DShadow shadow_map;
out vec4 pixel;

float lamp_reaches() {
    if (with_shadows == 0) return 1.0;
    vec3 at = shadow_place;
    if (any(lessThan(at.xy, vec2(0.01))) || any(greaterThan(at.xy, vec2(0.99)))) return 1.0;
    at.z = min(at.z, 1.0);
    float spread = is_person == 1 ? 0.0015 : 0.0035;
    float light = texture(shadow_map, at);
    light += texture(shadow_map, at + vec3(spread, 0.4 * spread, 0.0));
    light += texture(shadow_map, at + vec3(-0.4 * spread, spread, 0.0));
    light += texture(shadow_map, at + vec3(-spread, -0.4 * spread, 0.0));
    light += texture(shadow_map, at + vec3(0.4 * spread, -spread, 0.0));
    return 0.2 * light;
}

void main() {
    vec3 n = normalize(facing);
    vec3 albedo = tint;
    float shine = gloss;
    if (is_person == 1) {
        shine = texel.x;
    } else {
        vec3 pattern = texture(surface, texel).rgb;
        albedo *= pattern * pattern;
    }
    float facing_lamp = max((dot(n, to_lamp) + wrap) / (1.0 + wrap), 0.0);
    float lamp = facing_lamp > 0.0 ? facing_lamp * lamp_reaches() : 0.0;
    float around = 1.0;
    if (is_person == 0 && world.y < 0.01) {
        for (int i = 0; i < 4; ++i) {
            vec3 d = world - feet[i];
            around *= 1.0 - 0.55 * exp(-(d.x * d.x + d.z * d.z) * 110.0 - feet[i].y * 22.0);
        }
    }
    vec3 light = mix(ground, sky, 0.5 + 0.5 * n.y) * around + key * lamp;
    vec3 result = albedo * light;
    if (shine > 0.0) {
        vec3 v = normalize(eye - world);
        float mirror = pow(1.0 - max(dot(n, v), 0.0), 4.0);
        float spot = pow(max(dot(n, normalize(v + to_lamp)), 0.0), 32.0);
        result += shine * (0.22 * mirror * sky * around + 0.18 * spot * lamp * key);
    }
    pixel = vec4(sqrt(clamp(result, 0.0, 1.0)), 1.0);
}
"""

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
uniform int is_person;
flat out float part;
void main() {
    gl_Position = clip_from_world * vec4(position, 1.0);
    part = is_person == 1 ? coordinate.y : 0.0;
}
"""
PART_FRAGMENT = """#version 330 core
flat in float part;
out vec4 pixel;
void main() { pixel = vec4(part / 255.0, 0.0, 0.0, 1.0); }
"""
