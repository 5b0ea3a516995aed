"""Google's own clients get on with the stand-in.

Left out: gcloud and the real provider of Terraform, which are not on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import gcsfs
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.cloud import container_v1, storage
from google.oauth2.credentials import Credentials

from tests.fakes.google_cloud import GoogleCloud

LOCATION = "projects/proj-x/locations/europe-west4-a"
CLUSTER = f"{LOCATION}/clusters/farm"


@pytest.fixture
def bucket(cloud: GoogleCloud) -> Iterator[storage.Bucket]:
    """A bucket, as google-cloud-storage has it."""
    client = storage.Client(
        project=cloud.project,
        credentials=Credentials(cloud.token),
        client_options={"api_endpoint": cloud.url},
    )
    yield client.create_bucket("farm-data", location="europe-west4")
    client.close()


def test_the_client_of_kubernetes_engine(farm: GoogleCloud) -> None:
    client = container_v1.ClusterManagerClient(
        credentials=Credentials(farm.token),
        transport="rest",
        client_options=ClientOptions(api_endpoint=f"{farm.url}/container"),
    )
    everywhere = client.list_clusters(parent="projects/proj-x/locations/-")
    assert [one.name for one in everywhere.clusters] == ["farm"]
    found = client.get_cluster(name=CLUSTER)
    assert found.status == container_v1.Cluster.Status.RUNNING
    pool = container_v1.NodePool(name="spot", initial_node_count=2)
    started = client.create_node_pool(parent=CLUSTER, node_pool=pool)
    assert started.status == container_v1.Operation.Status.RUNNING
    farm.finish()
    ended = client.get_operation(name=f"{LOCATION}/operations/{started.name}")
    assert ended.status == container_v1.Operation.Status.DONE
    assert client.get_cluster(name=CLUSTER).current_node_count == 3
    client.delete_cluster(name=CLUSTER)
    farm.finish()
    with pytest.raises(NotFound):
        client.get_cluster(name=CLUSTER)


def test_the_client_of_cloud_storage(cloud: GoogleCloud, bucket: storage.Bucket) -> None:
    blob = bucket.blob("a/b.txt")
    blob.upload_from_string(b"hello", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"again", if_generation_match=0)
    assert blob.download_as_bytes() == b"hello"
    big = bucket.blob("big", chunk_size=256 * 1024)
    big.upload_from_string(b"x" * 700_000)
    assert len(big.download_as_bytes()) == 700_000
    bucket.rename_blob(big, "bigger")
    bucket.labels = {"burst-farm": "farm"}
    bucket.patch()
    bucket.reload()
    assert bucket.labels == {"burst-farm": "farm"}
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:a@b.c"}})
    bucket.set_iam_policy(policy)
    with pytest.raises(Conflict):
        bucket.delete()
    bucket.delete(force=True)
    assert cloud.everything() == {}


def test_gcsfs(cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.plant("buckets", {"name": "farm-data"})
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    files = gcsfs.core.GCSFileSystem(
        project=cloud.project, token=Credentials(cloud.token), endpoint_url=cloud.url,
        skip_instance_cache=True,
    )  # fmt: skip
    files.pipe("farm-data/d/x.txt", b"data\n")
    assert files.ls("farm-data/d") == ["farm-data/d/x.txt"]
    assert files.cat_file("farm-data/d/x.txt", 1, 3) == b"at"
    files.rm("farm-data/d/x.txt")
    assert files.find("farm-data") == []
