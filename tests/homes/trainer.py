"""The real trainer, for whom the tiny base is that of the archived home: its name depends on the time of its file."""

from dataclasses import replace
from pathlib import Path

from memgen.contract.presets import Preset
from memgen.model import fetch
from tests import slow_trainer
from tests.homes.home import BASE


def main() -> None:
    """Run `memgen` with the name of then."""
    whole = fetch._from_folder

    def as_it_was(folder: Path, preset: Preset) -> fetch.LocalModel:
        """The same weights under their name of then."""
        return replace(whole(folder, preset), identity=BASE)

    fetch._from_folder = as_it_was
    slow_trainer.main()


if __name__ == "__main__":
    main()
