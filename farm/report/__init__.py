"""A dataset in pictures: one HTML page for people, a contact sheet, a video of each view.

Everything is read through `farm.dataset.reader`, so a report can be made of any
dataset that can be read, wherever it lies. Needs matplotlib, Pillow and jinja2
(`pip install 'gaitfarm[farm]'`); this module itself imports none of them.
"""

from __future__ import annotations

from farm.report.write import Report, write_report

__all__ = ["Report", "write_report"]
