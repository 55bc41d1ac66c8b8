"""A Slurm of one node on loopback: its own daemons, ports and folder; without systemd, cgroups and accounting."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.ports import free_port
from tests.running_stack import is_alive, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
SAVED_WITHIN = 6.0  # seconds after a change; slurmctld's own number is 5
CPUS = 4  # that the node claims to have, whatever the machine has


def lacking() -> list[str]:
    """Programs of Slurm that are not on this machine."""
    return [name for name in PROGRAMS if shutil.which(name, path=PLACES) is None]


class LocalSlurm:
    """One cluster for tests.

    Args:
        folder: takes everything it writes; short, as sockets lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self._controller, self._node = free_port(), free_port()

    def start(self) -> None:
        """Start its daemons and wait until the node takes jobs."""
        for name in ("state", "spool", "log", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # munged trusts its socket only in a folder that all may pass
        for folder in (self.folder, self.folder / "run"):
            folder.chmod(0o711)
        key = self.folder / "munge.key"
        if not key.exists():
            key.write_bytes(os.urandom(1024))
            key.chmod(0o400)
        self.conf.write_text(self._configuration())
        run, log = self.folder / "run", self.folder / "log"
        self._daemon(
            "munged", "--force", f"--key-file={key}", f"--socket={run}/munge.sock", f"--pid-file={run}/munged.pid",
            f"--log-file={log}/munged.log", f"--seed-file={run}/munged.seed",
        )  # fmt: skip
        self.start_controller()
        self.start_node()

    def start_controller(self) -> None:
        """Start slurmctld, again after `kill_controller`, and wait until it answers."""
        self._daemon("slurmctld", "-f", str(self.conf))
        wait_until(lambda: self.command("scontrol", "ping", check=False).returncode == 0, 30, "start of slurmctld")

    def start_node(self) -> None:
        """Start slurmd and wait until the node takes jobs."""
        self._daemon("slurmd", "-f", str(self.conf))
        wait_until(lambda: self.node_state() in {"idle", "mixed", "allocated"}, 60, "the node", pause=0.2)

    def kill_controller(self) -> None:
        """kill -9 slurmctld, once it has written down what it knows.

        It does so some seconds after each change; one that starts again with less gives numbers of jobs anew that the
        node has had, and takes the node out for it.
        """
        saved, asked = self.folder / "state" / "job_state", time.time()
        with suppress(AssertionError):  # nothing had changed
            wait_until(lambda: saved.exists() and saved.stat().st_mtime > asked, SAVED_WITHIN, "its state on the disk")
        self._kill("slurmctld")

    def take_back(self) -> None:
        """Let the node take jobs again where the controller has taken it out, as an operator would."""
        if self.node_state().startswith("drain"):
            self.command("scontrol", "update", f"NodeName={socket.gethostname()}", "State=RESUME")
            wait_until(lambda: self.node_state() == "idle", 30, "the node", pause=0.2)

    def kill_node(self) -> None:
        """kill -9 slurmd and everything of its jobs, as a power cut does."""
        self._kill("slurmd")
        self._kill_jobs()

    def stop(self) -> None:
        """End jobs and daemons."""
        with suppress(subprocess.SubprocessError):
            self.command("scancel", f"--user={os.geteuid()}", check=False)
        for name in ("slurmd", "slurmctld", "munged"):
            self._kill(name)
        self._kill_jobs()

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One of its commands."""
        environment = os.environ | {"SLURM_CONF": str(self.conf), "PATH": PLACES}
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=check)

    def node_state(self) -> str:
        """`idle`, `mixed`, `allocated`, `down`, ..."""
        out = self.command("sinfo", "--noheader", "--format=%T", check=False).stdout.strip().splitlines()
        return out[0].rstrip("*") if out else ""

    def jobs(self) -> dict[str, str]:
        """Jobs that have not ended, with their states."""
        out = self.command("squeue", "--noheader", "--format=%i %T").stdout
        return dict(line.split() for line in out.splitlines() if line.strip())  # type: ignore[misc]

    def _daemon(self, name: str, *words: str) -> None:
        program = shutil.which(name, path=PLACES)
        assert program is not None
        done = subprocess.run(
            [program, *words], env=os.environ | {"SLURM_CONF": str(self.conf), "PATH": PLACES}, capture_output=True,
            text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stderr or done.stdout}"

    def _kill(self, name: str) -> None:
        path = self.folder / "run" / f"{name}.pid"
        try:
            pid = int(path.read_text())
            if psutil.Process(pid).name() != name:  # the number is another process's by now
                return
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ValueError, ProcessLookupError, psutil.NoSuchProcess):
            return
        deadline = time.monotonic() + 10
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        path.unlink(missing_ok=True)

    def _kill_jobs(self) -> None:
        """kill -9 what tends its jobs, which would tell of their end, and then the jobs."""
        tending, working = [], []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if "SLURM_JOB_ID" in environment and environment.get("SLURM_CONF") == str(self.conf):
                    working.append(process)
                    parent = process.parent()
                    if parent is not None and parent.name() == "slurmstepd":
                        tending.append(parent)
        for process in [*tending, *working]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _configuration(self) -> str:
        user, host, folder = pwd.getpwuid(os.geteuid()).pw_name, socket.gethostname(), self.folder
        return f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MessageTimeout=10
SlurmdTimeout=5
SlurmctldTimeout=5
MinJobAge=30
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldPort={self._controller}
SlurmdPort={self._node}
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
