"""Croissant metadata (MLCommons, version 1.0): files and columns in JSON-LD, for search engines and loaders.

`CroissantFolder` describes a dataset as it is stored:

    croissant.json
    dataset.json                   a copy of the dataset's own
    croissant/gaits-00000.parquet  the index: a row for each gait

Laid into the dataset's root, which readers do not mind, its file sets are the
dataset's own shards. `describe_huggingface` does the same for that export.

The vocabulary has no word for units; they stand at the beginning of each column's description.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from farm.dataset.gaits import Gait
from farm.dataset.manifest import DATASET_KEY, DatasetManifest
from farm.dataset.parquet import write_rows
from farm.dataset.schema import find
from farm.export.formats import Format, IndexColumn, Object, Task, row_of
from farm.export.plan import FormatName, Piece
from farm.storage import Storage

CROISSANT_KEY = "croissant.json"
ROWS_PER_FILE = 8192

CONTEXT: Mapping[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty", "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
"""The context that the specification prescribes, word for word."""

SPECIFICATION = "http://mlcommons.org/croissant/1.0"

DATA_TYPES = {"VARCHAR": "sc:Text", "BIGINT": "cr:Int64", "DOUBLE": "cr:Float64", "BOOLEAN": "sc:Boolean"}

LICENSE_URLS = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
"""Of licences that data are often under; another one is named as the campaign names it."""

PARQUET = "application/x-parquet"


@dataclass(frozen=True)
class CroissantFolder(Format):
    """Metadata of a dataset as it is stored, and its index as Parquet."""

    name: ClassVar[FormatName] = "croissant"
    gaits_per_file: int | None = ROWS_PER_FILE

    def options(self) -> dict[str, str | int | float | bool | None]:
        return {}

    def fields(self, present: Sequence[str]) -> tuple[str, ...]:
        return tuple(present[:0])

    def marker(self, piece: Piece) -> str:
        return f"croissant/gaits-{piece.number:05d}.parquet"

    def objects(self, task: Task, piece: Piece, gaits: Iterator[Gait]) -> Iterator[Object]:
        yield self.marker(piece), index_parquet(task.columns, gaits)

    def closing(self, task: Task) -> Iterator[Object]:
        yield DATASET_KEY, task.source.get(DATASET_KEY)
        yield CROISSANT_KEY, _describe_stored(task)


def index_parquet(columns: Sequence[IndexColumn], gaits: Iterator[Gait]) -> bytes:
    """Index rows as one Parquet file with these columns."""
    with tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        path = Path(folder, "rows.parquet")
        write_rows((row_of(gait) for gait in gaits), path, {column.name: column.sql_type for column in columns})
        return path.read_bytes()


def describe_huggingface(task: Task) -> bytes:
    """`croissant.json` of a Hugging Face export."""
    views = [item.view for item in task.items if item.spec.field == "video"]
    tables = _files(task.target, "", "/metadata.parquet", PARQUET)
    sets = [_file_set("tables", "*/*/metadata.parquet", PARQUET, "one row for each gait, beside its films")]
    sets += [
        _file_set(f"films-{view}", f"*/*/*.{view}.mp4", "video/mp4", f"films from the view {view}") for view in views
    ]
    names = [IndexColumn(f"video_{view}_file_name", "VARCHAR", "", f"the gait's film, view {view}") for view in views]
    return _document(task.manifest, [*tables, *sets], [_record_set("tables", [*names, *task.columns])])


def _describe_stored(task: Task) -> bytes:
    tables = _files(task.target, "croissant/", ".parquet", PARQUET)
    manifest = _file_object(DATASET_KEY, task.source.get(DATASET_KEY), "application/json")
    sets = [
        _file_set("index", "croissant/gaits-*.parquet", PARQUET, "the index: one row for each gait"),
        _file_set("commits", "commits/*.json", "application/json",
                  "one record for each shard: size and SHA-256 of every object, samples that were turned down and why"),
        _file_set("shards", "shards/*/*.zarr/*", "application/vnd+zarr",
                  "one Zarr v3 group for each shard; its arrays are listed in the record set `arrays`"),
    ]  # fmt: skip
    return _document(task.manifest, [manifest, *tables, *sets], [_record_set("index", task.columns), _arrays(task)])


def _document(
    manifest: DatasetManifest, distribution: Sequence[Mapping[str, Any]], record_sets: Sequence[Mapping[str, Any]]
) -> bytes:
    description = manifest.campaign.get("description") or "Gaits of simulated people: musculoskeletal walking, filmed."
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest.name,
        "description": str(description).strip(),
        "conformsTo": SPECIFICATION,
        "license": LICENSE_URLS.get(manifest.license, manifest.license),
        "url": f"urn:uuid:{manifest.dataset_id}",  # its name; it has no address until somebody publishes it
        "version": f"{manifest.format_version}.0.0",
        "datePublished": manifest.created[:10],
        "citeAs": citation(manifest),
        "creator": {"@type": "Organization", "name": "made with gaitfarm"},
        "keywords": ["gait", "biomechanics", "musculoskeletal simulation", "synthetic data", "pose estimation"],
        "rai:dataCollection": "Simulated: no person was filmed or measured.",
        "rai:dataLimitations": list(LIMITS),
        "rai:personalSensitiveInformation": ["None: nobody in the data exists."],
        "distribution": list(distribution),
        "recordSet": list(record_sets),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


LIMITS = (
    "Walkers are simulated, their muscles, reflexes and feet simplified; people with a condition differ in more ways.",
    "Gaits that fell, or failed a check of quality, are not among the data: what is hard to walk is rarer than drawn.",
    "Films show rendered bodies in plain scenes; test on films of people whatever is to be used on people.",
    "Not for diagnosis.",
)
"""What a user must know before drawing conclusions; also in the dataset card."""


def citation(manifest: DatasetManifest) -> str:
    """BibTeX of this dataset."""
    version = manifest.software.get("gaitfarm", "unknown")
    return (
        f"@misc{{gaitfarm_{manifest.name.replace('-', '_')}, title = {{{manifest.name}: simulated gaits}}, "
        f"note = {{made with gaitfarm {version}, dataset {manifest.dataset_id}}}, year = {{{manifest.created[:4]}}}}}"
    )


def _files(target: Storage, prefix: str, suffix: str, media_type: str) -> list[dict[str, Any]]:
    """Every object of that ending, with its SHA-256."""
    return [
        _file_object(item.key, target.get(item.key), media_type)
        for item in target.list(prefix)
        if item.key.endswith(suffix)
    ]


def _file_object(key: str, data: bytes, media_type: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": key,
        "name": key,
        "contentUrl": key,
        "contentSize": f"{len(data)} B",
        "encodingFormat": media_type,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _file_set(name: str, includes: str, media_type: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": media_type,
        "includes": includes,
    }


def _record_set(file_set: str, columns: Sequence[IndexColumn]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "gaits",
        "name": "gaits",
        "description": "one record for each gait: what was drawn, and the gait parameters",
        "key": {"@id": "gaits/sample_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"gaits/{column.name}",
                "name": column.name,
                "description": _description(column),
                "dataType": DATA_TYPES[column.sql_type],
                "source": {"fileSet": {"@id": file_set}, "extract": {"column": column.name}},
            }
            for column in columns
        ],
    }


def _description(column: IndexColumn) -> str:
    return f"[{column.unit}] {column.description}" if column.unit else column.description or column.name


def _arrays(task: Task) -> dict[str, Any]:
    """What each array of a shard is, as a record set whose records stand in the metadata themselves."""
    found = [item for path in task.manifest.known_arrays if (item := find(path)) is not None]
    told = {"path": "path in the shard's group", "dimensions": "names of the axes", "type": "of the numbers",
            "unit": "SI unit", "description": "what it is"}  # fmt: skip
    return {
        "@type": "cr:RecordSet",
        "@id": "arrays",
        "name": "arrays",
        "description": "the arrays of each shard's Zarr group",
        "key": {"@id": "arrays/path"},
        "field": [
            {"@type": "cr:Field", "@id": f"arrays/{name}", "name": name, "description": text, "dataType": "sc:Text"}
            for name, text in told.items()
        ],
        "data": [
            {
                "arrays/path": item.path,
                "arrays/dimensions": " ".join(item.spec.dims),
                "arrays/type": item.spec.dtype,
                "arrays/unit": item.spec.unit,
                "arrays/description": f"{item.spec.description}. {item.spec.axes}".strip(". "),
            }
            for item in found
        ],
    }
