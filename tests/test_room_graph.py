"""The graph of the library's rooms has no cycle, and no room outgrows the others."""

from tests.room_graph import cycle, graph, sizes

LARGEST_SHARE = 0.12


def test_rooms_import_each_other_without_a_cycle():
    assert cycle(graph()) is None
    assert cycle({"study": {"engine"}, "engine": {"cluster"}, "cluster": {"study"}}), "the search finds a cycle"


def test_no_room_is_larger_than_its_share():
    share = sizes()
    assert max(share.values()) <= LARGEST_SHARE, max(share, key=share.get)
