"""What a kernel unpacks, byte by byte as its documentation says."""

from __future__ import annotations

from rookery.vm.archive import Archive


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """path -> (mode, content), read as buffer-format.rst describes it; not by the code under test."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        assert archive[at + 110 + name_size - 1] == 0
        content_at = -(-(at + 110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            assert content_at == len(archive)
            return found
        assert name not in found
        found[name] = (mode, archive[content_at : content_at + size])
        at = -(-(content_at + size) // 4) * 4


def test_files_folders_and_links_are_where_they_were_put_and_folders_come_first():
    archive = Archive()
    archive.file("a/b/c", b"hello", 0o755)
    archive.file("a/b/d", b"")
    archive.link("init", "/a/b/c")
    found = entries(archive.whole())
    assert found == {
        "a": (0o040755, b""),
        "a/b": (0o040755, b""),
        "a/b/c": (0o100755, b"hello"),
        "a/b/d": (0o100644, b""),
        "init": (0o120777, b"/a/b/c"),
    }
    assert list(found) == ["a", "a/b", "a/b/c", "a/b/d", "init"]


def test_one_archive_may_follow_another():
    first, second = Archive(), Archive()
    first.file("one", b"1")
    second.file("two", b"22")
    assert len(first.whole()) % 4 == 0 and entries(second.whole()) == {"two": (0o100644, b"22")}
