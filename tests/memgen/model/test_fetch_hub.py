"""A download from a model hub: a small one on loopback, spoken to by the hub's own library in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from memgen.contract.events import EVENT_ADAPTER, Phase, Progress
from tests.ports import free_port
from tests.serving import serving

REPO = "nobody/small"
COMMIT = "a" * 40
OTHER = {  # of the demo's dimensions, but for its layers
    "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 31, "num_attention_heads": 9,
    "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True,
}  # fmt: skip
FILES = {"config.json": b"{}", "model-1.safetensors": b"1" * 300_000, "model-2.safetensors": b"2" * 200_000}
SIZE = 500_000  # bytes of weights
DOWNLOAD = """
import sys
from pathlib import Path
from memgen.contract.presets import BUILT_IN
from memgen.model.fetch import fetch_model
from memgen.monitor import Monitor
preset = BUILT_IN[0].model_copy(update={"repo": "nobody/small", "wheel": None})
model = fetch_model(preset, None, Path(sys.argv[1]), Monitor(Path(sys.argv[2])))
print(model.identity, *sorted(path.name for path in model.folder.iterdir()))
"""


def small_hub(files_held: dict[str, bytes], asked: list[str]) -> Starlette:
    """A hub with a repository of these files; those that are fetched are listed in `asked`."""

    def model(request: Request) -> Response:
        files = [{"rfilename": name, "size": len(data)} for name, data in files_held.items()]
        return JSONResponse({"id": REPO, "sha": COMMIT, "siblings": files})

    def tree(request: Request) -> Response:
        return JSONResponse(
            [{"type": "file", "path": name, "size": len(data), "oid": etag(data)} for name, data in files_held.items()]
        )

    def file(request: Request) -> Response:
        data = files_held[request.path_params["name"]]
        asked.append(request.path_params["name"])
        headers = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        return Response(data, headers=headers, media_type="application/octet-stream")

    return Starlette(
        routes=[
            Route(f"/api/models/{REPO}", model),
            Route(f"/api/models/{REPO}/revision/{{revision}}", model),
            Route(f"/api/models/{REPO}/tree/{{revision}}", tree),
            Route(f"/{REPO}/resolve/{{revision}}/{{name}}", file, methods=["GET", "HEAD"]),
        ]
    )


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def download(
    home: Path, tmp_path: Path, files: dict[str, bytes], asked: list[str]
) -> "subprocess.CompletedProcess[str]":
    with serving(small_hub(files, asked), free_port()) as url:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return subprocess.run(
            [sys.executable, "-c", DOWNLOAD, str(home), str(tmp_path / "events.jsonl")],
            env=environment | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def test_repository_whose_config_is_not_the_presets_is_refused_before_its_weights_are_fetched(
    home: Path, tmp_path: Path
) -> None:
    asked: list[str] = []
    done = download(home, tmp_path, {**FILES, "config.json": json.dumps(OTHER).encode()}, asked)
    assert done.returncode != 0
    assert "num_layers is 31 and not 30" in done.stderr
    assert set(asked) == {"config.json"}


def test_download_from_the_hub_tells_its_bytes_and_names_the_commit(home: Path, tmp_path: Path) -> None:
    done = download(home, tmp_path, FILES, [])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == [f"hub:{REPO}@{COMMIT}", *sorted(FILES)]
    assert "%" not in done.stderr  # no bar is drawn
    said = [EVENT_ADAPTER.validate_json(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event.detail for event in said if isinstance(event, Phase)] == [f"{REPO} at {COMMIT}"]
    progress = [event for event in said if isinstance(event, Progress)]
    assert {(event.total, event.unit) for event in progress} == {(SIZE, "bytes")}
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == SIZE
    assert len(progress) > 1  # before its end, too
