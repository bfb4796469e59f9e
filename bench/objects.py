"""The same training set from a bucket and from the disk: what the way to an object store costs.

The store is SeaweedFS on this machine, so that the network is none and the protocol all.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow.fs as fs

import gnomon as gn
from bench.asof import FULL, SMALL, Gnomon, View, file_groups
from bench.harness import Job, Work
from bench.tables import project
from tests.servers import Seaweed

_SECRET = "BENCH_OBJECTS_SECRET"


class FromDisk(Gnomon):
    name = "disk"


class FromBucket(Gnomon):
    """The view's file lies in a bucket; the spine is read from the disk all the same."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        folder = job.scratch / "server"
        folder.mkdir()
        self.server = Seaweed(folder, str(Path(sys.executable).parent / "weed"))
        self.server.start()
        (view,) = self.views
        options = self.server.options
        bucket = fs.S3FileSystem(
            access_key=options["aws_access_key_id"],
            secret_key=options["aws_secret_access_key"],
            region=options["aws_region"],
            endpoint_override=options["aws_endpoint_url"],
            allow_bucket_creation=True,
        )
        bucket.create_dir("bench")
        fs.copy_files(str(view.path), f"bench/{view.path.name}", destination_filesystem=bucket)
        os.environ[_SECRET] = options["aws_secret_access_key"]
        self.store = project(job.scratch / "bucket")
        self.groups = [self._moved(view)]
        self.store.apply(self.groups)

    def _moved(self, view: View) -> gn.FeatureGroup:
        (group,) = file_groups([view])
        options = self.server.options | {"aws_secret_access_key": f"${{{_SECRET}}}"}
        path = f"s3://bench/{view.path.name}"
        source = gn.FileSource(f"{view.name}_object", path=path, timestamp="ts", options=options)
        return gn.FeatureGroup(group.name, entity=group.entities, source=source, features=group.features)


WORKS = (
    Work(
        "objects-asof",
        "as-of: {spine:,} spine × {rows:,} rows × 20 features, ours from a bucket",
        SMALL,
        FULL,
        FromBucket,
        (FromDisk,),
        (),
    ),
)
