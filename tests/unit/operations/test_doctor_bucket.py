"""``burst doctor`` does once to a bucket what a farm does, and says what stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.config.farm import FarmSettings
from burst.operations import doctor
from burst.storage.storage import open_storage
from tests.fakes.strict_gcs import StrictGcs


def _found(folder: Path, url: str = "gs://farm") -> doctor.Finding:
    state, storage = doctor._state_dir(FarmSettings(state_dir=folder, storage_url=url))
    assert (state.subject, state.verdict) == ("state", "good")
    assert storage.subject == "storage"
    return storage


def test_a_bucket_that_can_be_used_is_good_and_nothing_is_left_in_it(
    gcs: StrictGcs, tmp_path: Path
) -> None:
    assert _found(tmp_path).verdict == "good"
    assert list(open_storage("gs://farm").list("")) == []


@pytest.mark.parametrize("deed", ["create", "get", "delete"])
def test_a_permission_that_a_farm_lacks_is_named(gcs: StrictGcs, tmp_path: Path, deed: str) -> None:
    gcs.denied = {f"storage.objects.{deed}"}
    found = _found(tmp_path)
    assert found.verdict == "bad"
    assert f"no storage.objects.{deed} on gs://farm" in found.text
    assert "add-iam-policy-binding gs://farm" in str(found.hint)


def test_a_bucket_that_is_not_there_is_bad(gcs: StrictGcs, tmp_path: Path) -> None:
    found = _found(tmp_path, "gs://another")
    assert found.verdict == "bad"
    assert "there is no bucket another" in found.text
