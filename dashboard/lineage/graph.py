"""The picture of a lineage as an option of ECharts. Pure functions.

Foreign text stands in `name` alone, which is drawn as it is and escaped in a tooltip: no formatter is made of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from backend.api.schemas import LineageNode, OutsideNode
from dashboard.lineage.layout import Base, Spot
from dashboard.lineage.words import spot_lines

# readable on a light and on a dark page
STATUS_COLOUR: dict[str, str] = {
    "waiting": "#8a9794",
    "queued": "#c2a12f",
    "running": "#5b7fd6",
    "stopping": "#e07a3f",
    "succeeded": "#0f9d8f",
    "failed": "#d14b3d",
    "cancelled": "#8a9794",
    "skipped": "#8a9794",
}
_LINE, _OUTSIDE, _RING = "#8a9794", "#9a76d6", "#e07a3f"
ROW_PIXELS, COLUMN_PIXELS, LABEL_PIXELS = 66, 175, 150
ROWS_IN_SIGHT = 9
"""At the closest look; further away more rows share the same height."""
_DOT, _SMALL_DOT, _MARKED = 13, 9, 6
"""Pixels of a point, of one that is looked at from further away, and what the one in the middle has more."""
_FADED = 0.22
_BEND = 0.9
"""Where in a column a line turns to the rows of its children, right of all words."""


@dataclass(frozen=True)
class Look:
    """How the picture is looked at."""

    rows: int = ROWS_IN_SIGHT
    """That are in sight."""
    centre: int | None = None
    """Number of the thing in the middle; None begins at the top."""
    found: frozenset[int] | None = None
    """Numbers that a search has found: the others are faint; None is no search."""


def lineage_option(spots: Sequence[Spot], look: Look) -> dict[str, Any]:
    """The option of the picture; series 0 has a point for each spot, in their order."""
    notes = {spot.number: spot.thing.note for spot in spots if isinstance(spot.thing, LineageNode)}
    columns = max(spot.column for spot in spots) + 1
    first, last = window(spots, look)
    return {
        "animation": False,
        "grid": {"left": 8, "right": 30, "top": 8, "bottom": 4},
        "xAxis": {"type": "value", "show": False, "min": -0.08, "max": columns - 0.05},
        "yAxis": {"type": "value", "show": False, "min": -0.3, "max": last_row(spots) + 0.9, "inverse": True},
        "tooltip": {"trigger": "item", "formatter": "{b}", "confine": True, "extraCssText": "white-space: pre-line;"},
        "dataZoom": [
            {
                "type": "inside", "yAxisIndex": 0, "filterMode": "none", "startValue": first, "endValue": last,
                "zoomOnMouseWheel": "ctrl", "moveOnMouseWheel": True,
            },
            {
                "type": "slider", "yAxisIndex": 0, "filterMode": "none", "startValue": first, "endValue": last,
                "right": 4, "width": 14, "showDetail": False, "showDataShadow": False, "brushSelect": False,
            },
            {"type": "inside", "xAxisIndex": 0, "filterMode": "none", "zoomOnMouseWheel": False},
        ],
        "series": [_dots(spots, {k: v for k, v in notes.items() if k is not None}, look), _lines(spots)],
        "media": _narrower(columns),
    }  # fmt: skip


def last_row(spots: Sequence[Spot]) -> int:
    """The lowest row; the first is 0."""
    return max(spot.row for spot in spots)


def picture_height(spots: Sequence[Spot]) -> int:
    """Pixels of the picture: as many rows as there are, up to those in sight."""
    return 16 + ROW_PIXELS * min(ROWS_IN_SIGHT, last_row(spots) + 1)


def window(spots: Sequence[Spot], look: Look) -> tuple[float, float]:
    """The rows in sight, first and last, as values of the axis."""
    top, bottom = -0.3, last_row(spots) + 0.9
    if look.rows >= bottom:
        return top, bottom
    row = next((spot.row for spot in spots if spot.number is not None and spot.number == look.centre), 0)
    first = min(max(top, row - look.rows / 2), bottom - look.rows)
    return first, first + look.rows


def _dots(spots: Sequence[Spot], notes: dict[int, str], look: Look) -> dict[str, Any]:
    return {
        "type": "scatter",
        "selectedMode": "single",
        "itemStyle": {"opacity": 1},
        "select": {"itemStyle": {"borderWidth": 4, "borderColor": _RING}},
        "label": {
            "show": True, "formatter": "{b}", "align": "left", "width": LABEL_PIXELS, "overflow": "truncate",
            "lineHeight": 14, "fontSize": 11,
        },
        "labelLayout": {"hideOverlap": True},
        "data": [_dot(spot, notes, look) for spot in spots],
    }  # fmt: skip


def _dot(spot: Spot, notes: dict[int, str], look: Look) -> dict[str, Any]:
    thing = spot.thing
    is_near = look.rows <= ROWS_IN_SIGHT
    is_marked = spot.number is not None and spot.number == look.centre
    size = (_DOT if is_near else _SMALL_DOT) + (_MARKED if is_marked else 0)
    dot: dict[str, Any] = {
        "name": ("\n" if is_near else " · ").join(spot_lines(spot, notes)),
        "value": [spot.column, spot.row],
        "symbolSize": size,
        # from near below the point, from further away in one line above what leads on from it
        "label": {"position": [0, size + 5], "verticalAlign": "top"}
        if is_near
        else {"position": [size + 3, size // 2 - 2], "verticalAlign": "bottom"},
    }
    if isinstance(thing, LineageNode):
        dot["itemStyle"] = {"color": STATUS_COLOUR.get(thing.status.value, _LINE)}
    elif isinstance(thing, OutsideNode):
        dot |= {"symbol": "diamond", "itemStyle": {"color": _OUTSIDE}}
    else:  # leads nowhere
        hollow = {"color": "transparent", "borderColor": _LINE, "borderWidth": 1.5}
        dot |= {"symbol": "rect" if isinstance(thing, Base) else "circle", "itemStyle": hollow}
        dot |= {"select": {"disabled": True}}
    if is_marked:
        dot["itemStyle"] |= {"borderWidth": 4, "borderColor": _RING}
        dot["label"] |= {"fontWeight": "bold"}
    if look.found is not None and spot.number not in look.found:
        dot["itemStyle"] |= {"opacity": _FADED}
        dot["label"] |= {"opacity": 0.45}
    return dot


def _lines(spots: Sequence[Spot]) -> dict[str, Any]:
    """From each thing to what it was made from, with a bend where it stands in another row."""
    data = []
    for spot in spots:
        if spot.above is None:
            continue
        above = spots[spot.above]
        bend = above.column + _BEND
        corners = [[bend, above.row], [bend, spot.row]] if spot.row != above.row else []
        data.append({"coords": [[above.column, above.row], *corners, [spot.column, spot.row]]})
    return {
        "type": "lines", "coordinateSystem": "cartesian2d", "polyline": True, "silent": True, "z": 1,
        "lineStyle": {"color": _LINE, "width": 1.2, "opacity": 1}, "data": data,
    }  # fmt: skip


def _narrower(columns: int) -> list[dict[str, Any]]:
    """Where not all columns have room for their words, the first of runs are shown, and the picture can be pulled."""
    return [
        {
            "query": {"maxWidth": COLUMN_PIXELS * (shown + 1)},
            "option": {"dataZoom": [{}, {}, {"startValue": _BEND, "endValue": _BEND + shown}]},
        }
        for shown in range(columns - 2, 0, -1)
    ]


def picked(spots: Sequence[Spot], selection: Collection[dict[str, Any]]) -> int | None:
    """Number of what was clicked in the picture; None where that is nothing, or can't be looked at."""
    places = [place for group in selection if group["series_index"] == 0 for place in group["data_indices"]]
    return spots[places[0]].number if places and places[0] < len(spots) else None
