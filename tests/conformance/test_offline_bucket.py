"""BucketStore keeps every promise of the seam, in SeaweedFS."""

from __future__ import annotations

from functools import partial

import pytest

from gnomon.offline.bucket import Bucket, BucketStore
from gnomon.testing.offline import OfflineStoreTests
from tests import servers
from tests.faults import children

assert children.SERVER  # other processes are forked by a server that has imported what is slow to import

pytestmark = pytest.mark.slow  # each test asks a server some ten times


class TestBucketStore(OfflineStoreTests):
    @pytest.fixture
    def open(self, seaweed: servers.Bucket) -> partial[BucketStore]:
        return partial(BucketStore, Bucket(f"{seaweed.url}/features", seaweed.options))
