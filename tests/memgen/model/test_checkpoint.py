"""Our checkpoints: complete or refused, by file and key."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from memgen.cli import app
from memgen.contract.errors import BadInput
from memgen.contract.manifest import file_hash, read_manifest
from memgen.contract.presets import get_preset
from memgen.model import checkpoint_files
from memgen.model.authors_layout import export_authors, import_authors, load_authors
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import load_checkpoint, save_checkpoint
from memgen.model.checkpoint_files import summary
from memgen.model.fetch import LocalModel, fetch_model
from memgen.model.memgen_model import MemGenModel, Row
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import config_of, run

LENGTHS = {"prompt_latents_len": 8, "inference_latents_len": 8}


@pytest.fixture
def source(home: Path) -> LocalModel:
    return fetch_model(get_preset(TINY), None, home, Monitor(None))


@pytest.fixture
def base(source: LocalModel) -> BaseModel:
    return load_base(source, "float32")


@pytest.fixture
def saved(home: Path, tmp_path: Path) -> Path:
    """The golden checkpoint `a`, imported."""
    folder = tmp_path / "checkpoint"
    assert import_authors(GOLDEN / "a" / "checkpoint", get_preset(TINY), folder, home, Monitor(None)) == (38, 38)
    return folder


def logprobs(model: MemGenModel) -> torch.Tensor:
    ids = torch.arange(5, 60)
    with torch.no_grad():
        return model.eval().token_logprobs([Row(ids, [10, 20, 33])])[0]


def rewrite(folder: Path, file: str, change) -> None:
    """Change a file's tensors and mend the manifest's hash, so that only the content is wrong."""
    tensors = load_file(folder / file)
    save_file(change(tensors), folder / file)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][file] = file_hash(folder / file)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refusal(folder: Path, base: BaseModel, name: str, wanted: dict[str, int] | None = None) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load_checkpoint(folder, base, name, wanted)
    assert caught.value.way_out
    return caught.value


def test_saved_and_loaded_gives_the_same_logits(saved: Path, source: LocalModel) -> None:
    authors = load_authors(GOLDEN / "a" / "checkpoint", load_base(source, "float32")).model
    ours = load_checkpoint(saved, load_base(source, "float32"), source.identity, LENGTHS)
    assert torch.equal(logprobs(ours), logprobs(authors))
    assert [path.name for path in saved.parent.iterdir() if path.name.startswith(".")] == []


def test_nothing_is_written_over(saved: Path, base: BaseModel, source: LocalModel) -> None:
    model = load_checkpoint(saved, base, source.identity)
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(BadInput, match="already"):
        save_checkpoint(model, saved, read_manifest(saved))
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_failed_save_leaves_nothing(saved: Path, base: BaseModel, source: LocalModel, tmp_path, monkeypatch) -> None:
    model = load_checkpoint(saved, base, source.identity)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_files, "write_whole", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(model, tmp_path / "second", read_manifest(saved))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("file", ["parts.safetensors", "weaver.safetensors", "trigger.safetensors"])
def test_changed_byte_is_refused_by_file(saved: Path, base: BaseModel, source: LocalModel, file: str) -> None:
    data = bytearray((saved / file).read_bytes())
    data[-1] ^= 1
    (saved / file).write_bytes(data)
    error = refusal(saved, base, source.identity)
    assert (error.code, error.value) == ("checkpoint_damaged", file)
    assert "hash" in error.message


def test_removed_and_unexpected_key_are_refused_by_name(saved: Path, base: BaseModel, source: LocalModel) -> None:
    rewrite(saved, "parts.safetensors", lambda t: {k: v for k, v in t.items() if k != "weaver.prompt_latent_scale"})
    assert "lacks the key weaver.prompt_latent_scale (13 of 14" in refusal(saved, base, source.identity).message
    extra = {"weaver.prompt_latent_scale": torch.ones(1), "weaver.bonus": torch.ones(1)}
    rewrite(saved, "parts.safetensors", lambda t: t | extra)
    assert "unexpected key weaver.bonus" in refusal(saved, base, source.identity).message


def test_all_zero_lora_that_calls_itself_trained_is_refused(saved: Path, base: BaseModel, source: LocalModel) -> None:
    rewrite(saved, "weaver.safetensors", lambda t: {k: v * 0 if "lora_B" in k else v for k, v in t.items()})
    assert "every lora_B of it is zero" in refusal(saved, base, source.identity).message


def test_foreign_base_and_other_latents_are_refused(saved: Path, base: BaseModel, source: LocalModel) -> None:
    assert refusal(saved, base, "hub:other@1").code == "foreign_base"
    error = refusal(saved, base, source.identity, {"prompt_latents_len": 4})
    assert (error.code, error.field, error.value) == ("other_latents", "prompt_latents_len", "4")


def test_limits_of_the_caller_replace_those_of_the_checkpoint(saved: Path, base: BaseModel, source: LocalModel) -> None:
    model = load_checkpoint(saved, base, source.identity, {"max_inference_aug_num": 2, "max_prompt_aug_num": None})
    assert (model.settings.max_inference_aug_num, model.settings.max_prompt_aug_num) == (2, 1)


@pytest.mark.parametrize("file", ["manifest.json", "weaver.safetensors"])
def test_missing_file_is_refused(saved: Path, base: BaseModel, source: LocalModel, file: str) -> None:
    (saved / file).unlink()
    error = refusal(saved, base, source.identity)
    assert file in str(error)


def test_summary_says_what_it_is_and_checks_the_files(saved: Path) -> None:
    text = "\n".join(summary(saved))
    assert "trained      weaver, trigger" in text
    assert "weaver.prompt_query_latents" in text
    (saved / "trigger.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="hash"):
        summary(saved)


def test_command_line_imports_inspects_and_refuses(home: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    runner, out = CliRunner(), tmp_path / "imported"
    words = ["import-checkpoint", str(GOLDEN / "b" / "checkpoint"), "--preset", TINY, "--out", str(out)]
    done = runner.invoke(app, words)
    assert (done.exit_code, "38 of 38 tensors loaded" in done.output) == (0, True)
    assert "import checkpoint" in runner.invoke(app, ["inspect", str(out)]).output
    assert runner.invoke(app, words).exit_code == 2
    assert runner.invoke(app, ["inspect", str(tmp_path)]).exit_code == 2


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_exported_checkpoint_has_the_authors_files_keys_and_numbers(home: Path, tmp_path: Path, name: str) -> None:
    source, ours, out = GOLDEN / name / "checkpoint", tmp_path / "ours", tmp_path / "exported"
    import_authors(source, get_preset(TINY), ours, home, Monitor(None))
    assert export_authors(ours, get_preset(TINY), out, home, Monitor(None)) == 38
    for file in ("projs.bin", "weaver.bin", "trigger.bin"):
        mine, theirs = (torch.load(folder / file, weights_only=True) for folder in (out, source))
        assert sorted(mine) == sorted(theirs)
        for key, value in theirs.items():
            for inner in value if isinstance(value, dict) else [None]:
                one, other = (mine[key], value) if inner is None else (mine[key][inner], value[inner])
                assert torch.equal(one, other)
    for adapter in ("weaver", "trigger"):
        mine, theirs = (load_file(f / adapter / adapter / "adapter_model.safetensors") for f in (out, source))
        assert sorted(mine) == sorted(theirs)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    with pytest.raises(BadInput, match="overwritten"):
        export_authors(ours, get_preset(TINY), out, home, Monitor(None))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    assert load_authors(out, load_base(LocalModel(GOLDEN / "tiny_base", "golden"), "float32")).loaded == 38


def test_export_keeps_what_the_authors_layout_has_no_word_for_and_an_import_takes_it_again(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(
        stage="weaver_sft", num_questions=8, max_steps=2, learning_rate=0.01, eval_questions=0, guard_numbers=1
    )  # fmt: skip
    run(home, tmp_path / "run", config)
    ours, out, again = tmp_path / "run" / "weaver_sft", tmp_path / "theirs", tmp_path / "again"
    before = read_manifest(ours).model_copy(update={"prompt_hash": "of another data set"})
    (ours / "manifest.json").write_text(before.model_dump_json())
    export_authors(ours, get_preset(TINY), out, home, Monitor(None))
    assert "guard_numbers is kept in memgen_studio.json" in capsys.readouterr().out
    import_authors(out, get_preset(TINY), again, home, Monitor(None))
    after = read_manifest(again)
    assert (after.latents["guard_numbers"], after.prompt_hash) == (1, before.prompt_hash)
    assert (after.trained, after.files) == (["weaver"], before.files)

    notes = out / "memgen_studio.json"
    for text, said in (('{"guard_numbers": 2}', "memgen_studio.json"), ("{", "memgen_studio.json")):
        notes.write_text(text)
        with pytest.raises(BadInput, match=said):
            import_authors(out, get_preset(TINY), tmp_path / "damaged", home, Monitor(None))
    notes.unlink()  # as the authors' own checkpoints come: both parts must have been trained
    with pytest.raises(BadInput, match="every lora_B of the trigger is zero"):
        import_authors(out, get_preset(TINY), tmp_path / "damaged", home, Monitor(None))
