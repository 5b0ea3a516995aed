"""Sending scenes into a directory storage; traces are made by hand."""

import hashlib
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from burst.errors import MissingFiles, SceneError, StorageError
from burst.scene import pending
from burst.scene.collection import Collection
from burst.scene.hashing import Hasher
from burst.scene.manifest import Manifest
from burst.scene.naming import key_of
from burst.scene.trace import MissingFile, SceneTrace, TracedFile
from burst.scene.upload import check_complete, check_names, plan_upload, upload_scene
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.items import tell_nobody


@pytest.fixture
def scene(tmp_path):
    """Make a trace of files with these contents; the first is the .blend."""

    def make(outside=None, **contents):
        root = tmp_path / "project"
        traced = []
        for name, content in contents.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            traced.append(TracedFile(name, path, ""))
        return SceneTrace(root, next(iter(contents)), tuple(traced), (), outside or {})

    return make


def test_a_scene_is_whole_in_the_storage_and_its_manifest_tells_of_it(scene, storage):
    trace = scene({"/far/x.png": "outside/1/x.png"}, blend=b"B", **{"tex ü.png": b"T"})
    done = upload_scene(trace, "My Shot!", storage, Hasher(None))
    assert done.scene.name == "my-shot"
    assert (done.files, done.bytes, done.sent_files, done.sent_bytes) == (2, 2, 2, 2)
    stored = Manifest.from_bytes(
        storage.get_bytes(layout.manifest(done.scene.name, done.scene.version))
    )
    assert stored == done.manifest
    assert stored.outside == {key_of("/far/x.png"): "outside/1/x.png"}
    contents = {
        name: storage.get_bytes(layout.blob(entry.sha256)) for name, entry in stored.files.items()
    }
    assert contents == {"blend": b"B", "tex ü.png": b"T"}


def test_what_is_there_is_not_sent_again(scene, storage):
    first = upload_scene(scene(blend=b"B", a=b"same", b=b"same"), "s", storage, Hasher(None))
    again = upload_scene(scene(blend=b"B2", a=b"same", b=b"same"), "s", storage, Hasher(None))
    assert (first.sent_files, again.sent_files, again.sent_bytes) == (2, 1, 2)
    assert first.scene.version != again.scene.version


def test_the_same_files_are_the_same_version(scene, storage):
    first = upload_scene(scene(blend=b"B"), "s", storage, Hasher(None))
    again = upload_scene(scene(blend=b"B"), "s", storage, Hasher(None))
    assert (again.scene, again.sent_files) == (first.scene, 0)


def test_progress_ends_with_everything_done(scene, storage):
    told = []
    upload_scene(scene(blend=b"BB", a=b"A"), "s", storage, Hasher(None), told.append)
    last = {progress.step: progress for progress in told}
    for step in ("hashing", "sending"):
        assert (last[step].files_done, last[step].files_total) == (2, 2)
        assert (last[step].bytes_done, last[step].bytes_total) == (3, 3)


class Rewriting(DirectoryStorage):
    """A storage during whose writing a file is saved anew, some times."""

    def __init__(self, root: Path, path: Path, times: int) -> None:
        super().__init__(root)
        self.path, self.times = path, times

    def put_blobs(self, blobs, tell=tell_nobody):
        if self.path in {blob.path for blob in blobs} and self.times:
            self.times -= 1
            self.path.write_bytes(f"saved again {self.times}".encode())
        return super().put_blobs(blobs, tell)


def blobs(storage):
    return {name.rpartition("/")[2]: storage.get_bytes(name) for name in storage.list("blobs/")}


def test_a_file_saved_while_it_is_sent_is_sent_as_it_is_now(scene, tmp_path):
    trace = scene(blend=b"B", a=b"first")
    changing = Rewriting(tmp_path / "storage", trace.files[1].path, times=1)
    done = upload_scene(trace, "s", changing, Hasher(None))
    entry = done.manifest.files["a"]
    assert blobs(changing)[entry.sha256] == b"saved again 0"
    assert entry.size == len(b"saved again 0")
    for sha256, content in blobs(changing).items():
        assert hashlib.sha256(content).hexdigest() == sha256


def test_a_file_that_never_keeps_still_is_refused_and_leaves_no_wrong_blob(scene, tmp_path):
    trace = scene(blend=b"B", a=b"first")
    changing = Rewriting(tmp_path / "storage", trace.files[1].path, times=9)
    with pytest.raises(SceneError, match="changed while it was read"):
        upload_scene(trace, "s", changing, Hasher(None))
    assert list(blobs(changing).values()) == [b"B"]
    assert list(changing.list("scenes/")) == []


def test_a_file_that_is_gone_is_refused(scene, storage):
    trace = scene(blend=b"B", a=b"A")
    trace.files[1].path.unlink()
    with pytest.raises(SceneError, match="can't read"):
        upload_scene(trace, "s", storage, Hasher(None))


def test_without_the_blobs_there_is_no_manifest(scene, tmp_path):
    class Full(DirectoryStorage):
        def put_blobs(self, blobs, tell=tell_nobody):
            raise StorageError("full")

    storage = Full(tmp_path / "storage")
    with pytest.raises(StorageError, match="full"):
        upload_scene(scene(blend=b"B"), "s", storage, Hasher(None))
    assert list(storage.list("scenes/")) == []


def test_a_file_with_one_content_and_two_names_is_sent_once_though_one_changes(scene, tmp_path):
    trace = scene(blend=b"B", a=b"same", b=b"same")
    changing = Rewriting(tmp_path / "storage", trace.files[2].path, times=1)
    done = upload_scene(trace, "s", changing, Hasher(None))
    files = done.manifest.files
    assert {blobs(changing)[files[name].sha256] for name in "ab"} == {b"same", b"saved again 0"}


def test_a_wrong_memory_is_put_right(scene, storage, tmp_path):
    trace = scene(blend=b"B", a=b"old")
    long_ago = (1_600_000_000, 1_600_000_000)
    path = trace.files[1].path
    os.utime(path, long_ago)
    Hasher(tmp_path / "cache").hash_all([path])
    path.write_bytes(b"new")
    os.utime(path, long_ago)
    done = upload_scene(trace, "s", storage, Hasher(tmp_path / "cache"))
    assert blobs(storage)[done.manifest.files["a"].sha256] == b"new"


def test_a_plan_says_what_is_lacking_and_writes_nothing(scene, storage):
    upload_scene(scene(blend=b"B", a=b"same"), "s", storage, Hasher(None))
    before = sorted(storage.list(""))
    trace = scene(blend=b"B2", a=b"same", b=b"new", c=b"new")
    planned = plan_upload(trace, "s", storage, Hasher(None))
    assert (len(planned.lacking), planned.lacking_bytes) == (2, 5)
    assert sorted(storage.list("")) == before
    done = upload_scene(trace, "s", storage, Hasher(None))
    assert done.manifest == planned.manifest
    assert (done.sent_files, done.sent_bytes) == (2, 5)
    nowhere = plan_upload(trace, "s", None, Hasher(None))
    assert len(nowhere.lacking) == 3


def test_after_a_long_sleep_what_lacks_is_asked_once_more(scene, tmp_path, monkeypatch):
    """A collection may have taken the upload for dead, and what it had sent for garbage."""
    now = [0.0]
    monkeypatch.setattr(pending, "time", SimpleNamespace(time=lambda: now[0], sleep=None))

    class Asleep(DirectoryStorage):
        slept = False

        def put_blobs(self, sent, tell=tell_nobody):
            changed = super().put_blobs(sent, tell)
            if not self.slept:
                self.slept = True
                now[0] += pending.PENDING_SECONDS * 2
                self.delete(layout.PENDING)
                self.delete(layout.BLOBS)
            return changed

    storage = Asleep(tmp_path / "storage")
    done = upload_scene(scene(blend=b"B", a=b"A"), "s", storage, Hasher(None))
    assert set(blobs(storage)) == {entry.sha256 for entry in done.manifest.files.values()}
    assert list(storage.list(layout.PENDING)) == []


def test_an_upload_that_fails_holds_what_it_sent_for_the_next(scene, tmp_path):
    class Full(DirectoryStorage):
        def put_blobs(self, sent, tell=tell_nobody):
            super().put_blobs(sent[:1], tell)
            raise StorageError("full")

    with pytest.raises(StorageError, match="full"):
        upload_scene(scene(blend=b"B", a=b"A"), "s", Full(tmp_path / "storage"), Hasher(None))
    storage = DirectoryStorage(tmp_path / "storage")
    assert len(blobs(storage)) == 1
    assert Collection(storage, 0).run().blobs == 0
    done = upload_scene(scene(blend=b"B", a=b"A"), "s", storage, Hasher(None))
    assert (done.files, done.sent_files) == (2, 1)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("caf\udce9.png", r"caf\\udce9\.png: not UTF-8"),
        ("a\nb.png", r"a\\nb\.png: a control character"),
        ("x" * 256, "longer than 255 bytes"),
        ("y" * 200 + "/" + "y" * 200 + "/" + "/".join(["z" * 250] * 3), "its path is too long"),
        (".well-known/acme-challenge/a", "reserved in Cloud Storage"),
    ],
)
def test_names_that_cannot_be_used_elsewhere_are_refused(name, why):
    good = TracedFile("tex ü.png", Path("/p/g"), "")
    trace = SceneTrace(Path("/p"), "m", (good, TracedFile(name, Path("/p/x"), "")), ())
    with pytest.raises(SceneError, match="1 file has a name that can't be used") as caught:
        check_names(trace)
    assert re.search(why, caught.value.message)
    assert "tex" not in caught.value.message


def test_all_names_that_cannot_be_used_are_listed():
    files = tuple(TracedFile(f"{n}\t.png", Path("/p/x"), "") for n in range(30))
    with pytest.raises(SceneError, match="30 files have names") as caught:
        check_names(SceneTrace(Path("/p"), "m", files, ()))
    assert caught.value.message.endswith("and 10 more")
    assert "\t" not in caught.value.message


def with_missing(count, used_by="shot.blend"):
    missing = tuple(MissingFile(f"//gone {n}.png", used_by) for n in range(count))
    return SceneTrace(Path("/p"), "shot.blend", (), missing)


def test_a_complete_scene_passes():
    assert check_complete(with_missing(0), allow_missing=False) == ()


def test_missing_files_are_listed_and_refused():
    with pytest.raises(MissingFiles, match=r"2 files are missing:\n  //gone 0\.png\n") as caught:
        check_complete(with_missing(2), allow_missing=False)
    assert caught.value.files == ("//gone 0.png", "//gone 1.png")
    assert "--allow-missing" in (caught.value.hint or "")


def test_a_long_list_is_cut():
    with pytest.raises(MissingFiles) as caught:
        check_complete(with_missing(33), allow_missing=False)
    lines = caught.value.message.splitlines()
    assert (len(lines), lines[-1]) == (22, "  and 13 more")


def test_who_names_a_missing_file_is_said_if_it_is_a_library():
    with pytest.raises(MissingFiles, match=r"1 file is missing:\n  .*named by lib/a\.blend"):
        check_complete(with_missing(1, "lib/a.blend"), allow_missing=False)


@pytest.mark.parametrize(
    ("blocks", "used_by", "shown"),
    [
        ((), "s.blend", "  x.png"),
        (("Image a",), "s.blend", "  x.png (Image a)"),
        (tuple("abcde"), "l.blend", "  x.png (a, b, c, 2 more, named by l.blend)"),
    ],
)
def test_the_users_of_a_missing_file_are_said(blocks, used_by, shown):
    missing = MissingFile("x.png", used_by, blocks)
    scene = SceneTrace(Path("/a"), "s.blend", (), (missing,))
    with pytest.raises(MissingFiles) as caught:
        check_complete(scene, allow_missing=False)
    assert caught.value.message.splitlines()[1] == shown


def test_missing_files_may_be_allowed():
    assert check_complete(with_missing(1), allow_missing=True) == ("//gone 0.png",)
