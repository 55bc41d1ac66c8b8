"""Where things of a lineage stand."""

from dashboard.lineage.families import families_of
from dashboard.lineage.layout import ROWS_OF_A_BASE, Base, Gone, Spot, spots_of
from tests.dashboard.lineage.nodes import node, outside


def places(spots: list[Spot]) -> dict[int, tuple[int, int]]:
    """Row and column of each numbered thing."""
    return {spot.number: (spot.row, spot.column) for spot in spots if spot.number is not None}


def test_families_come_newest_first_and_children_below_their_parents() -> None:
    nodes = [node(1), node(2), node(3, 2), node(4, 3), node(5, 2), node(6, 1)]
    families = families_of(nodes)
    assert [[one.run_id for one in family.nodes] for family in families] == [[1, 6], [2, 3, 4, 5]]


def test_children_of_a_deleted_run_are_one_family() -> None:
    nodes = [node(4, 3, parent_deleted=True), node(5), node(6, 3, parent_deleted=True)]
    assert [[one.run_id for one in family.nodes] for family in families_of(nodes)] == [[4, 6], [5]]


def test_long_chain_is_laid_out_without_recursion() -> None:
    chain = [node(1), *(node(number, number - 1) for number in range(2, 1201))]
    assert places(spots_of(chain))[1200] == (0, 1200)


def test_first_child_stands_beside_its_parent_and_others_below_all_before() -> None:
    spots = spots_of([node(1), node(2, 1), node(3, 2), node(4, 2), node(5, 1)])
    assert places(spots) == {1: (0, 1), 2: (0, 2), 3: (0, 3), 4: (1, 3), 5: (2, 2)}
    above = {spot.number: None if spot.above is None else spots[spot.above].number for spot in spots}
    assert above == {None: None, 1: None, 2: 1, 3: 2, 4: 2, 5: 1}


def test_no_two_things_share_a_place() -> None:
    nodes = [node(number, number // 3 or None) for number in range(1, 300)]
    spots = spots_of(nodes)
    assert len({(spot.row, spot.column) for spot in spots}) == len(spots)


def test_base_model_stands_near_what_was_made_from_it() -> None:
    spots = spots_of([node(number) for number in range(1, 3 * ROWS_OF_A_BASE)])
    bases = [spot for spot in spots if isinstance(spot.thing, Base)]
    assert len(bases) == 3
    for spot in spots:
        if spot.above is not None:
            assert spot.row - spots[spot.above].row <= ROWS_OF_A_BASE
    assert len([spot for spot in spots_of([node(1), node(2), node(3)]) if isinstance(spot.thing, Base)]) == 1


def test_each_model_has_its_base() -> None:
    spots = spots_of([node(1), node(2, preset="Qwen/Qwen3-14B")])
    assert [spot.thing.preset for spot in spots if isinstance(spot.thing, Base)] == ["Qwen/Qwen3-14B", "Qwen/Qwen2.5"]


def test_deleted_parent_and_one_that_is_not_shown_stand_as_such() -> None:
    spots = spots_of([node(3, 2, parent_deleted=True), node(5, 4)])
    gone = [spot.thing for spot in spots if isinstance(spot.thing, Gone)]
    assert [(one.number, one.deleted) for one in gone] == [(4, False), (2, True)]
    assert all(spot.number is None for spot in spots if isinstance(spot.thing, Gone))  # nothing to look at


def test_checkpoint_from_outside_stands_before_what_started_from_it() -> None:
    assert places(spots_of([node(9, 8)], [outside(8)])) == {8: (0, 1), 9: (0, 2)}
    assert places(spots_of([], [outside(8)])) == {8: (0, 1)}
