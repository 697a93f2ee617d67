"""Objects in a folder; and that a store which does not answer is said to be away."""

from __future__ import annotations

import pytest

from rookery.hyperplane.object_store import StoreAway, opened


async def test_an_object_is_whole_replaced_and_listed(tmp_path):
    store = opened(str(tmp_path / "objects"))
    assert await store.get("cells/cell-1") is None
    await store.put("cells/cell-1", b"one" * 1000)
    await store.put("cells/cell-1", b"two")
    await store.put("reports/cell-1/node-2", b"")
    await store.put("reports/cell-1/node-1", b"")
    assert await store.get("cells/cell-1") == b"two"
    assert [*await store.tags("reports/cell-1/")] == ["reports/cell-1/node-1", "reports/cell-1/node-2"]
    assert await store.tags("reports/cell-2/") == {}


async def test_the_tag_of_an_object_tells_when_it_was_put_anew(tmp_path):
    store, seen = opened(str(tmp_path / "objects")), []
    seen.append(await store.tag("reports/cell-1/node-1"))
    assert seen == [""]
    for content in (b"one", b"two"):
        await store.put("reports/cell-1/node-1", content)
        seen.append(await store.tag("reports/cell-1/node-1"))
        assert await store.tags("reports/cell-1/") == {"reports/cell-1/node-1": seen[-1]}
    assert len(set(seen)) == 3


async def test_a_store_where_nobody_listens_is_away():
    store = opened("s3://bucket/rookery", {"endpoint": "http://127.0.0.1:9", "region": "x", "access_key_id": "a", "secret_access_key": "b"})
    with pytest.raises(StoreAway):
        await store.get("cells/cell-1")


@pytest.mark.parametrize("where", ["relative/folder", "https://example.org/bucket", ""])
def test_what_is_no_store_is_refused(where):
    with pytest.raises(ValueError, match="no object store"):
        opened(where)
