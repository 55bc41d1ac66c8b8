"""Pages as a visitor sees them."""

from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

import dashboard

MAIN = Path(dashboard.__file__).parent / "main.py"


def open_page(page: str = "", **query: str) -> AppTest:
    """A page as a visitor with this address sees it."""
    app = AppTest.from_file(str(MAIN), default_timeout=30)
    if page:
        app.switch_page(f"app_pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    """All text of a page, in one string."""
    parts: list[Any] = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.error, *app.warning]
    parts += [*app.info, *app.code, *app.text]
    return "\n".join(str(part.value) for part in parts)


def said(app: AppTest) -> str:
    """`shown` without the backslashes of markdown."""
    return shown(app).replace("\\", "")


def button_keys(app: AppTest) -> set[str | None]:
    """Keys of the buttons on a page."""
    return {button.key for button in app.button}


def tiles(app: AppTest) -> dict[str, str]:
    """Values of the tiles of a page by their labels."""
    return {tile.label: str(tile.value).replace("\\", "") for tile in app.metric}


def popovers(app: AppTest) -> list[str]:
    """Labels of the folded parts that open over a page."""
    return [one.proto.popover.label for one in app.get("popover")]
