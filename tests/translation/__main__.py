"""`python -m tests.translation`: bring the catalogues up to date with the texts of code and records.

New texts come without a translation, and the tests say so until somebody writes it; those that are gone are taken out.
"""

from dashboard.parts.catalogue import LOCALE
from tests.translation.catalogues import OTHERS, updated, wanted_of_backend

if __name__ == "__main__":
    for language in OTHERS:
        (LOCALE / f"{language}.po").write_bytes(updated(language))
        of_backend = f"{language}.backend"
        (LOCALE / f"{of_backend}.po").write_bytes(updated(of_backend, wanted_of_backend()))
