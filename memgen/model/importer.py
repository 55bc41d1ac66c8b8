"""A process that turns a checkpoint of the authors' layouts into ours: loading the base may take minutes and gigabytes.

`python -m memgen.model.importer SOURCE PRESET OUT` prints a sentence and ends with 0, or prints a `Problem` as JSON and
ends with 2.
"""

import sys
from pathlib import Path

from memgen.contract.errors import BadInput
from memgen.contract.home import home_of_environment
from memgen.contract.presets import get_preset
from memgen.contract.process import begin_process
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE


def main(source: str, preset: str, out: str) -> int:
    """Entry point of the process; returns its exit code."""
    begin_process()
    try:
        chosen = get_preset(preset)
        from memgen.model.authors_layout import import_authors
        from memgen.monitor import Monitor

        monitor = Monitor(None, show=sys.stderr)
        loaded, expected = import_authors(Path(source), chosen, Path(out), home_of_environment(), monitor)
    except BadInput as error:
        sys.stdout.write(error.problem.model_dump_json())
        return EXIT_BAD_INPUT
    sys.stdout.write(f"{loaded} of {expected} tensors loaded")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
