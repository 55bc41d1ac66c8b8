#!/usr/bin/env bash
# benchmarks/gpu.sh --wheels DIR --minutes N --out DIR [--only STEP]...
# Measures a machine with one GPU and no network, where torch and transformers are installed already. DIR of --wheels
# holds the wheels of what is missing there; they go to a temporary folder and nothing is installed into the machine.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
wheels="" passed=()
while (($#)); do
  case $1 in
    --wheels) wheels=$2; shift 2 ;;
    *) passed+=("$1"); shift ;;
  esac
done
cd "$here"
if [[ -n $wheels ]]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  for wheel in "$wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done  # needs no pip and no rights
  export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
fi
python3 - <<'CHECK'
import importlib.util, sys
needed = "torch transformers peft pydantic pydantic_core annotated_types typing_inspection accelerate safetensors "
needed += "tokenizers numpy psutil rich typer"
missing = [name for name in needed.split() if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"error: missing here: {', '.join(missing)}. Put wheels of them for Python {sys.version_info.major}."
             f"{sys.version_info.minor} into a folder and name it with --wheels; constraints.txt has the versions.")
CHECK
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONFAULTHANDLER=1
python3 -m benchmarks.gpu "${passed[@]}"
