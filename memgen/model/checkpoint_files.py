"""The files of our checkpoints: written whole or not at all, read and checked before anything of them is used.

What they hold is the business of `checkpoint` and `lora`: here they are files of tensors, the optimizer's state, and a
manifest that hashes each of them.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from memgen.contract.errors import BadInput
from memgen.contract.manifest import MANIFEST, Manifest, damaged, file_hash, read_manifest
from memgen.contract.rundir import write_whole
from memgen.contract.weaver_variants import VARIANTS
from memgen.model.finite import is_finite

PARTS = "parts.safetensors"
OPTIMIZER = "optimizer.pt"
FLOATS = {torch.float64, torch.float32, torch.float16, torch.bfloat16}


def save_files(folder: Path, write: Callable[[Path], None], manifest: Manifest) -> Manifest:
    """Make a checkpoint of the files that `write` puts into an empty folder, whole or not at all.

    Args:
        folder: where; must not exist.
        write: puts the files into the folder it is given; `optimizer.pt` is what a training is resumed from.
        manifest: what it is, without the files.

    Returns:
        The manifest with the files' hashes.

    Raises:
        BadInput: `checkpoint_exists`; nothing is ever overwritten.
    """
    if folder.exists():
        raise BadInput(
            "checkpoint_exists",
            "there is a checkpoint or another file already",
            field="checkpoint",
            value=folder,
            way_out="Choose another folder.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        write(work)
        files = {}
        for path in sorted(work.iterdir()):
            _sync(path)
            files[path.name] = file_hash(path)
        digest = files.pop(OPTIMIZER, None)
        manifest = manifest.model_copy(update={"files": files, "optimizer": digest})
        write_whole(work / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
        work.rename(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return manifest


def verify(folder: Path) -> Manifest:
    """Check every file of a checkpoint against its hash; returns the manifest.

    Raises:
        BadInput: `not_a_checkpoint` or `checkpoint_damaged`.
    """
    manifest = read_manifest(folder)
    for file, digest in manifest.files.items():
        verified(folder, file, digest)
    if manifest.optimizer is not None:
        load_optimizer(folder)
    return manifest


def summary(folder: Path) -> list[str]:
    """What a checkpoint is, line by line, after its files were checked.

    Raises:
        BadInput: `not_a_checkpoint` or `checkpoint_damaged`.
    """
    manifest = read_manifest(folder)
    lines = [
        f"{manifest.kind} checkpoint {manifest.content_hash}",
        f"base         {manifest.base_model}",
        f"made from    {manifest.parent or 'no other checkpoint'}",
        f"stage        {manifest.stage or '-'}, step {manifest.step if manifest.step is not None else '-'}",
        f"trained      {', '.join(manifest.trained) or 'nothing'}",
        *([f"weaver       {VARIANTS[manifest.weaver_variant].words or 'whole'}"] if manifest.latents else []),
        f"latents      {', '.join(f'{name} {value}' for name, value in manifest.latents.items()) or 'none'}",
        f"resumable    {'yes' if manifest.optimizer else 'no'}",
    ]
    for file, digest in manifest.files.items():
        tensors = verified(folder, file, digest)
        if not tensors:
            lines.append(f"{file}: sha256 {digest[:16]}")
            continue
        lines.append(f"{file}: {len(tensors)} tensors, sha256 {digest[:16]}")
        norms = {key: float(value.float().norm()) for key, value in tensors.items()}
        if file == PARTS:
            lines += [f"  {key:40} {tuple(tensors[key].shape)!s:14} norm {norm:.4g}" for key, norm in norms.items()]
        else:
            for matrix in ("lora_A", "lora_B"):
                own = [norm for key, norm in norms.items() if matrix in key] or [0.0]
                lines.append(f"  {matrix}: {len(own)} matrices, norms {min(own):.4g} to {max(own):.4g}")
    return lines


def check_tensors(file: str, targets: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors that do not fit one to one, or hold what is no number.

    Raises:
        BadInput: `checkpoint_damaged`, naming the key and how many fit.
    """
    fitting = f"{len(set(targets) & set(found))} of {len(targets)} keys fit"
    for key in sorted(set(targets) ^ set(found)):
        said = "it lacks the key" if key in targets else "it has the unexpected key"
        raise damaged(file, f"{said} {key} ({fitting})")
    for key, target in targets.items():
        tensor = found[key]
        if target.shape != tensor.shape:
            raise damaged(file, f"{key} has shape {tuple(tensor.shape)} and not {tuple(target.shape)}")
        if tensor.dtype not in FLOATS or tensor.layout is not torch.strided or tensor.device.type != "cpu":
            raise damaged(file, f"{key} is no plain tensor of floats ({tensor.dtype}, {tensor.layout})")
        if not is_finite(tensor):
            raise damaged(file, f"{key} holds NaN or infinite numbers")


def load_optimizer(folder: Path) -> dict[str, Any]:
    """The optimizer's state of a resumable checkpoint.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    digest = read_manifest(folder).optimizer
    path = folder / OPTIMIZER
    if digest is None or not path.is_file():
        raise damaged(OPTIMIZER, "the file is missing")
    if file_hash(path) != digest:
        raise damaged(OPTIMIZER, "its content is not what the manifest's hash says")
    state = read_pickle(path)
    if not isinstance(state, dict):
        raise damaged(OPTIMIZER, "it holds no state by name")
    return state


def read_pickle(path: Path) -> Any:
    """What torch saved in a file: tensors, numbers and containers; nothing of it is run.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    try:
        if is_zipfile(path):
            with ZipFile(path) as archive:
                packed = any(one.compress_type != ZIP_STORED for one in archive.infolist())
            if packed:  # a small file could take all memory; torch packs nothing
                raise ValueError("packed")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many errors for a file that is not what it should be
        raise damaged(path.name, f"it can't be read ({type(error).__name__})") from error


def verified(folder: Path, file: str, digest: str) -> dict[str, torch.Tensor]:
    """The tensors of a file whose content is as the manifest says; none where it is no file of tensors."""
    path = folder / file
    if not path.is_file():
        raise damaged(file, "the file is missing")
    if file_hash(path) != digest:
        raise damaged(file, "its content is not what the manifest's hash says")
    return read_safetensors(path) if path.suffix == ".safetensors" else {}


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:  # a type of numbers that torch has not
        raise damaged(path.name, f"it can't be read ({type(error).__name__}: {str(error)[:200]})") from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
