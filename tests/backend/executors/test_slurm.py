"""What Slurm's commands are given, and what is read out of what they say; with commands that stand in for them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.executors.executor import NotAnswering, Order, Refused, TheirJob
from backend.executors.slurm import SlurmSite, SlurmSize, phase_of

STAND_IN = """#!{python}
import json, os, sys
json.dump([sys.argv[1:], dict(os.environ)], open({told!r}, "w"))
sys.stdout.write({out!r})
sys.stderr.write({error!r})
sys.exit({code})
"""
Stand = Callable[..., None]


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told.json"


@pytest.fixture
def stand_in(tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Puts a command on PATH that writes down what it was given and answers as it is told."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name: str, out: str = "", error: str = "", code: int = 0) -> None:
        path = tmp_path / name
        path.write_text(STAND_IN.format(python=sys.executable, told=str(told), out=out, error=error, code=code))
        path.chmod(0o700)

    return put


@pytest.fixture
def site(tmp_path: Path) -> SlurmSite:
    size = SlurmSize(name="one", gpus=1, memory_gib=80, flags=("--gres=gpu:1",))
    return SlurmSite(name="lab", executor="slurm", folder=tmp_path, sizes=(size,), flags=("--partition=gpu",))


@pytest.fixture
def order(site: SlurmSite) -> Order:
    return Order("memgen-x-1", site.sizes[0], ["python", "-m", "worker"], site.folder / "memgen-x-1.log")


def test_sbatch_is_given_name_output_signal_and_flags_before_script_and_command(
    site: SlurmSite, order: Order, stand_in: Stand, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "REDIS_URL", "HF_TOKEN", "AWS_SECRET_KEY"):
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    stand_in("sbatch", "42;cluster\n")
    assert site.submit(order) == "42"
    words, environment = json.loads(told.read_text())
    assert words == [
        "--parsable", "--job-name=memgen-x-1", f"--output={order.output}", "--open-mode=append",
        f"--chdir={site.folder}", "--export=ALL", "--signal=B:USR1@120", "--no-requeue", "--partition=gpu",
        "--gres=gpu:1", str(site.template), "python", "-m", "worker",
    ]  # fmt: skip
    assert environment["SLURM_CONF"] == "/etc/slurm.conf"
    assert "a secret" not in environment.values()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("sbatch: error: no x here\nsbatch: error: Batch job submission failed: Invalid partition\n",
         Refused, "Batch job submission failed: Invalid partition"),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\n", Refused, "QOSMaxSubmitJobPerUserLimit"),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n",
         NotAnswering, "Unable to contact slurm controller"),
        ("", Refused, "it said nothing"),
    ],
)  # fmt: skip
def test_sbatch_that_says_no_is_told_from_one_that_found_nobody_to_ask(
    site: SlurmSite, order: Order, stand_in: Stand, error: str, kind: type[Exception], words: str
) -> None:
    stand_in("sbatch", error=error, code=1)
    with pytest.raises(kind, match=words.replace("(", r"\(")):
        site.submit(order)


def test_command_that_is_not_there_or_never_ends_is_no_answer(
    site: SlurmSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAnswering, match="`squeue` can't be started: No such file"):
        site.ask("memgen-x-")
    (tmp_path / "squeue").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    (tmp_path / "squeue").chmod(0o700)
    monkeypatch.setattr("backend.executors.slurm.PATIENCE", 0.2)
    with pytest.raises(NotAnswering, match=r"has not answered within 0\.2 s"):
        site.ask("memgen-x-")


def test_squeue_lists_jobs_of_our_names_alone(site: SlurmSite, stand_in: Stand) -> None:
    lines = ["7|PENDING|Resources|memgen-x-1", "8|RUNNING|None|other", "9|CANCELLED|None|memgen-x-2", "broken"]
    stand_in("squeue", "\n".join(lines))
    assert site.ask("memgen-x-") == [
        TheirJob("7", "memgen-x-1", "pending", "no node is free that has what it asks for (Resources)"),
        TheirJob("9", "memgen-x-2", "cancelled", "somebody cancelled it"),
    ]


def test_squeue_that_fails_is_no_empty_list(site: SlurmSite, stand_in: Stand) -> None:
    stand_in("squeue", error="slurm_load_jobs error: Unable to contact slurm controller\n", code=1)
    with pytest.raises(NotAnswering, match="Unable to contact"):
        site.ask("memgen-x-")


def test_scancel_that_complains_of_ended_jobs_is_nothing_to_worry_about(site: SlurmSite, stand_in: Stand) -> None:
    stand_in("scancel", error="scancel: error: Kill job error on job id 7: Invalid job id specified\n", code=1)
    site.cancel(["7"])
    stand_in("scancel", error="scancel: error: Unable to contact slurm controller (connect failure)\n", code=1)
    with pytest.raises(NotAnswering):
        site.cancel(["7"])


@pytest.mark.parametrize(
    ("state", "reason", "phase", "words"),
    [
        ("PENDING", "AssocGrpGRES", "pending", "AssocGrpGRES"),
        ("PENDING", "(null)", "pending", "null"),
        ("CONFIGURING", "None", "pending", "Slurm has not looked at it yet (None)"),
        ("SUSPENDED", "None", "running", "it is suspended"),
        ("COMPLETING", "None", "ending", ""),
        ("TIMEOUT", "TimeLimit", "ended", "its time was over"),
        ("OF_A_LATER_VERSION", "", "ended", "OF_A_LATER_VERSION"),
    ],
)
def test_states_of_slurm_are_phases_and_words(state: str, reason: str, phase: str, words: str) -> None:
    assert phase_of(state, reason) == (phase, words)
