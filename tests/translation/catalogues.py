"""The catalogues as they are in the tree, and as the texts of code and records want them."""

from io import BytesIO

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from dashboard.parts.catalogue import ENGLISH, LANGUAGES, LOCALE
from tests.translation.texts_of_backend import texts_of_backend
from tests.translation.texts_of_code import texts_of_code
from tests.translation.texts_of_records import texts_of_records

WIDTH = 110
LEFT_OUT = tuple(
    f'"{name}:'.encode()
    for name in (
        "Report-Msgid-Bugs-To", "POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Language-Team",
        "Generated-By",
    )
)  # fmt: skip
"""Lines of the head that differ with every update, or name nobody."""
OTHERS = tuple(code for code in LANGUAGES if code != ENGLISH)


def wanted() -> Catalog:
    """Every text that is shown, without translations."""
    template = Catalog(charset="utf-8")
    for text in texts_of_code():
        template.add((text.message, text.many) if text.many else text.message, locations=[(text.place, None)])
    for place, message in texts_of_records():
        if message:
            template.add(message, locations=[(place.replace(" ", "/"), None)])
    for message in template:
        message.flags.clear()  # its guesses: "95 % interval" is no format
    return template


def wanted_of_backend() -> Catalog:
    """Every sentence of backend and trainers that is in no other catalogue, without translations."""
    template, others = Catalog(charset="utf-8"), wanted()
    for place, message in texts_of_backend():
        if message not in others:
            template.add(message, locations=[(place, None)])
    for message in template:
        message.flags.clear()
    return template


def stored(name: str) -> Catalog:
    """A catalogue in the tree: `ko`, `ko.backend`."""
    with (LOCALE / f"{name}.po").open("rb") as file:
        return read_po(file, locale=name.partition(".")[0])


def updated(name: str, template: Catalog | None = None) -> bytes:
    """The stored catalogue with the texts that are wanted: new ones without a translation, none that are gone."""
    catalog, template = stored(name), template or wanted()
    comment = catalog.header_comment
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
    catalog.header_comment = comment
    catalog.obsolete.clear()
    for message in catalog:
        message.flags.clear()
    file = BytesIO()
    write_po(file, catalog, width=WIDTH, sort_by_file=True, include_lineno=False, ignore_obsolete=True)
    return b"".join(line for line in file.getvalue().splitlines(keepends=True) if not line.startswith(LEFT_OUT))
