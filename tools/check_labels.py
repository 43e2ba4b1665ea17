"""How true a dataset's labels are, measured from what is stored.

    python -m tools.check_labels URI [--endpoint-url URL] [--where SQL] [--most N] [--json]

For each check the share of its cases that hold, and the least that must; figures (pixels,
metres) with their median and tails; and each label that cannot be true, with sample, view,
picture and joint. Exit code 1 if a law is broken or a label is wrong. `gaitfarm verify --labels`
does the same after it has seen that the bytes are whole.
"""

from __future__ import annotations

import argparse
import json
import sys

from farm.dataset.reader import GaitDataset
from farm.errors import GaitfarmError
from farm.label_check.run import check_labels
from farm.label_check.show import show_labels
from farm.storage import open_storage
from farm.terminal import OUT_CONSOLE


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", help="dataset: a path, file:///... or s3://bucket/prefix")
    parser.add_argument("--endpoint-url", help="S3-compatible service other than AWS")
    parser.add_argument("--where", help="only the gaits of this SQL expression over the index")
    parser.add_argument("--most", type=int, help="at most so many gaits")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    arguments = parser.parse_args()
    try:
        dataset = GaitDataset(open_storage(arguments.uri, endpoint_url=arguments.endpoint_url))
        report = check_labels(dataset, where=arguments.where, most=arguments.most)
    except GaitfarmError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        show_labels(report, OUT_CONSOLE)
    return 0 if report.true else 1


if __name__ == "__main__":
    sys.exit(main())
