"""What the commands of both doctors share, the core's and the product's: options, and what is printed and written."""

from pathlib import Path
from typing import Annotated

import typer

from memgen.contract.errors import BadInput
from memgen.contract.rundir import write_whole
from memgen.doctor.report import Report, as_json, page

Gpu = Annotated[bool, typer.Option("--gpu", help="Measure the card, too: the method's numbers, memory, speed.")]
Minutes = Annotated[float, typer.Option(min=0.05, max=600, help="With --gpu: no measurement begins after so many.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all of it there, measurements included.")
]


def check_json_file(path: Path | None) -> None:
    """Refuse a file that can't be written, before minutes go by.

    Raises:
        BadInput: `no_such_folder`.
    """
    if path is not None and not path.absolute().parent.is_dir():
        raise BadInput(
            "no_such_folder", "its folder is not there", field="--json", value=path, way_out="Name a file in a folder."
        )


def tell(made: Report, json_file: Path | None) -> None:
    """Print the page, and write the JSON where that was asked for."""
    typer.echo(page(made))
    if json_file is not None:
        write_whole(json_file.absolute(), as_json(made))
