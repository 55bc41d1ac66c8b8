"""Options of both doctors, the core's and the product's."""

from pathlib import Path
from typing import Annotated

import typer

Gpu = Annotated[bool, typer.Option("--gpu", help="Measure the card, too: the method's numbers, memory, speed.")]
Minutes = Annotated[float, typer.Option(min=0.05, max=600, help="With --gpu: no measurement begins after so many.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all of it there, measurements included.")
]
