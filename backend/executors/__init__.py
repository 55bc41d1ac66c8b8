"""Who starts a run: the workers of this service, or the batch system of a site; one module per batch system."""

from backend.executors.executor import Executor
from backend.executors.slurm import SlurmSite

LOCAL = Executor("local", "Workers of this service", None)
"""Its runs are claimed by workers that ask by themselves; nobody is asked to start one."""
SLURM = Executor("slurm", "Slurm", SlurmSite)

EXECUTORS = (LOCAL, SLURM)
"""All of them; another one is a module beside `slurm` and a line here."""
