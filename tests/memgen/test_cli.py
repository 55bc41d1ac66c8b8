"""The command line as a user types it: exit codes, messages, nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memgen.contract.answers import read_answers
from memgen.contract.machine_metrics import MEMORY
from memgen.contract.manifest import read_manifest
from memgen.contract.rundir import RunDir
from tests.checkpoints import write_checkpoint
from tests.memgen.stages.running import TINY_RUN, metric
from tests.running_stack import wait_until
from tests.warm_python import warm_python


def memgen(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_python(), "-m", "memgen", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_memory_prints_the_parts_and_says_whether_the_gpus_hold_the_run() -> None:
    large = ("memory", "--preset", "Qwen/Qwen3-14B", "--setting", "weaver")
    done = memgen(*large, "--gpu-memory", "24", "--gpus", "2", "--batch-size", "8")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "evaluate weaver of Qwen/Qwen3-14B on cuda, weights in bfloat16"
    assert lines[1].endswith("8 rows of 300 prompt and 1024 completion tokens, 6 insertions with 48 latents")
    assert "torch's sdpa" in lines[2]
    assert lines[-1].startswith("Its layers are spread over the 2 GPUs, at most")
    parts = [float(line[12:21]) for line in lines if line[12:].strip()[:1].isdigit() and " GiB" in line[21:25]]
    assert parts[-1] == pytest.approx(sum(parts[:-1]), abs=0.05)
    wide = memgen(*large, "--gpu-memory", "80").stdout
    assert wide.endswith("One GPU holds the run.\n")
    assert int(wide.split("rows       ")[1].split(" ")[0]) > 8, "as many as fit"
    assert memgen(*large, "--gpu-memory", "16").stdout.endswith("Choose a smaller model, or more or larger GPUs.\n")
    lower = memgen(*large, "--gpu-memory", "40", "--batch-size", "100").stdout
    assert "Lower batch_size or max_completion_length" in lower
    lower = memgen("memory", "--stage", "weaver_grpo", "--set", "micro_batch_size=8", "--gpu-memory", "8").stdout
    assert "Lower micro_batch_size or max_completion_length" in lower


def test_memory_counts_the_lora_of_the_checkpoint_that_is_named(tmp_path: Path) -> None:
    def told(*words: str) -> list[str]:
        return memgen("memory", "--stage", "trigger_grpo", *words).stdout.splitlines()

    wide = {"r": 64, "lora_alpha": 128, "lora_dropout": 0.0, "target_modules": ["down_proj", "q_proj"]}
    folder = write_checkpoint(tmp_path / "w", lora={"weaver": wide, "trigger": wide})
    usual, counted = told(), told("--set", f"checkpoint={folder}")
    assert usual[3:5] == [f"{name:10} LoRA of rank 16 on q_proj, v_proj" for name in ("weaver", "trigger")]
    assert counted[3:5] == [f"{name:10} LoRA of rank 64 on q_proj, down_proj" for name in ("weaver", "trigger")]
    assert usual[6:] != counted[6:]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--stage", "nap"), "stage: "),
        (("--preset", "nobody/nothing"), "preset: "),
        (("--set", "batch=3"), "batch: "),
        (("--set", "lonely"), "--set: "),
        (("--batch-size", "0"), "batch_size: "),
        (("--device", "tpu"), "--device: "),
        (("--device", "cpu", "--gpus", "2"), "--device: "),
        (("--gpus", "0"), "--gpus: "),
        (("--gpu-memory", "nan"), "--gpu-memory: "),
        (("--gpu-memory", "inf"), "--gpu-memory: "),
    ],
)
def test_memory_refuses_bad_input_by_its_name(words: tuple[str, ...], field: str) -> None:
    done = memgen("memory", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {field}")


def test_memory_command_does_without_torch() -> None:
    code = "import sys, memgen.cli as c\ntry: c.app(['memory'])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("False\n")


@pytest.fixture
def config_file(home: Path, tmp_path: Path, tiny_config: dict[str, object]) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tiny_config))
    return path


def test_run_leaves_a_whole_folder_and_refuses_to_write_over_it(config_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = memgen("run", str(config_file), "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" wrong: ") + done.stdout.count(" right: ") == 6
    assert {path.name for path in out.iterdir()} == {
        "config.json", "environment.json", "events.jsonl", "evaluate", "result.json",
    }  # fmt: skip
    assert MEMORY in RunDir(out).events.read_text(), "what the run tells of its machine"
    before = RunDir(out).answers.read_bytes()

    again = memgen("run", str(config_file), "--out", str(out))
    assert again.returncode == 2
    assert "--resume" in again.stderr
    assert RunDir(out).answers.read_bytes() == before


def test_stop_file_ends_with_code_3_and_resume_in_place_completes(config_file: Path, tmp_path: Path) -> None:
    out = RunDir(tmp_path / "out")
    out.path.mkdir()
    out.stop.write_text('{"mode": "save"}')
    assert memgen("run", str(config_file), "--out", str(out.path)).returncode == 3
    out.stop.unlink()
    assert memgen("run", str(config_file), "--out", str(out.path), "--resume", str(out.path)).returncode == 0
    answers, summary = read_answers(out.answers)
    assert len({answer.id for answer in answers}) == 6
    assert summary is not None


def test_training_that_is_killed_goes_on_as_if_nothing_had_happened(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(TINY_RUN | {"stage": "weaver_sft", "num_questions": 40, "save_steps": 2}))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert memgen("run", str(path), "--out", str(whole)).returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "memgen", "run", str(path), "--out", str(killed)], stdout=subprocess.DEVNULL
    ) as trainer:
        wait_until(lambda: len(RunDir(killed, "weaver_sft").saved_steps()) == 2, 60, "second checkpoint")
        trainer.kill()
    assert trainer.returncode == -9
    assert memgen("run", str(path), "--out", str(killed), "--resume", str(killed)).returncode == 0
    assert metric(killed, "train/loss") == metric(whole, "train/loss")
    assert read_manifest(killed / "weaver_sft").files == read_manifest(whole / "weaver_sft").files
    said = memgen("inspect", str(killed / "weaver_sft"))
    assert "weaver checkpoint" in said.stdout
    assert "trained      weaver" in said.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"preset": "Qwen/Qwen2.5-1.5B-Instrukt"}, "Did you mean Qwen/Qwen2.5-1.5B-Instruct"),
        ({"batchsize": 3}, "Did you mean batch_size"),
        ({"num_questions": 1001}, "1,000 questions"),
        ({"data": "gsm8k", "num_questions": 3}, "no such folder"),
    ],
)
def test_bad_config_is_refused_with_the_way_out(
    config_file: Path, tmp_path: Path, tiny_config, change, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMGEN_GSM8K_DIR", str(tmp_path / "nowhere"))
    config_file.write_text(json.dumps(tiny_config | change))
    done = memgen("run", str(config_file), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not RunDir(tmp_path / "out").answers.exists()


def test_config_that_is_not_there_or_not_json_is_refused(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path, said in ((tmp_path / "gone.json", "no such file"), (broken, "not JSON")):
        done = memgen("run", str(path), "--out", str(tmp_path / "out"))
        assert (done.returncode, said in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_bad_config_is_refused_before_torch_is_imported(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"stage": "evaluate", "preset": "nobody/nothing"}')
    code = (
        "import sys; sys.argv = ['memgen', 'run', sys.argv[1], '--out', sys.argv[2]]\n"
        "from memgen.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2 False"


def test_evaluation_imports_nothing_that_only_trainings_need(
    home: Path, tmp_path: Path, tiny_config: dict[str, object]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**tiny_config, "num_questions": 1, "max_completion_length": 2}))
    trainings = ["trl", "datasets", "transformers.trainer", "memgen.stages.training", "memgen.stages.rollout"]
    code = (
        "import sys; sys.argv = ['memgen', 'run', sys.argv[1], '--out', sys.argv[2]]\n"
        "from memgen.cli import main\n"
        "try: main()\n"
        f"except SystemExit as end: print(end.code, [name for name in {trainings!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_presets_and_schema_are_listed(home: Path) -> None:
    assert "Qwen/Qwen3-14B" in memgen("presets").stdout
    assert "batch_size" in json.loads(memgen("schema", "evaluate").stdout)["properties"]
    assert memgen("schema", "weaver").returncode == 2
