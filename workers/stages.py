"""The real stages: OpenSim or its twin simulates, the rasteriser films."""

from __future__ import annotations

from farm.pipeline import Stages


def stages() -> Stages:
    """The stages that a campaign is made with. Loads OpenSim and opens no GL context yet."""
    from workers.render.film import film
    from workers.simulate.engines import simulate

    return Stages(simulate=simulate, film=film)
