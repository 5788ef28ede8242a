"""Connected components of pairs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def connected_groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Number the groups that pairs of items form.

    Args:
        count: number of items.
        pairs: indices of items that belong together; transitive.

    Returns:
        The group of each item. Groups are numbered in the order of their first items.
    """
    if not count:
        return []
    edges = np.array(list(pairs), np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges), bool), edges.T), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    number: dict[int, int] = {}
    return [number.setdefault(label, len(number)) for label in labels.tolist()]
