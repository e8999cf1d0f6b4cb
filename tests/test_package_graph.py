"""The graph of the library's packages has no cycle, and no package is larger than its share."""

from tests.package_graph import cycle, graph, sizes

LARGEST_SHARE = 0.12


def test_packages_import_each_other_without_a_cycle():
    assert cycle(graph()) is None
    assert cycle({"study": {"engine"}, "engine": {"cluster"}, "cluster": {"study"}}), "the search finds a cycle"


def test_no_package_is_larger_than_its_share():
    share = sizes()
    assert max(share.values()) <= LARGEST_SHARE, max(share, key=share.get)
