"""One visit of `memgen-studio doctor`: the core's doctor in a process of its own, then the product's checks."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from backend.commands.doctor import folders, services
from backend.settings import Settings
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.data.registered.files import allowed_folders
from memgen.doctor.finding import Finding, error, look, not_looked_at, ok, refused
from memgen.doctor.report import Report, report

PATIENCE = 300.0  # seconds beyond the measurements until the core's doctor counts as hanging
TELL = "Tell the project, with this page and what stands above it."


def visit(*, gpu: bool, minutes: float) -> Report:
    """Look at this machine.

    Args:
        gpu: whether to measure the card.
        minutes: after which no measurement begins.
    """
    findings, card = core_findings(gpu, minutes)
    return report([*findings, *product_findings(os.environ)], time.time(), card)


def core_findings(gpu: bool, minutes: float) -> tuple[list[Finding], dict[str, object]]:
    """What the core's doctor sees and measures, with the environment that fetchers and trainers have."""
    with tempfile.TemporaryDirectory(prefix="memgen-doctor-") as folder:
        file = Path(folder) / "core.json"
        command = [sys.executable, "-m", "memgen", "doctor", "--json", str(file), "--minutes", str(minutes)]
        command += [*(["--gpu"] if gpu else []), *([] if find_spec("torch") else ["--serves-only"])]
        limit = PATIENCE + (60 * minutes if gpu else 0)
        try:
            done = subprocess.run(
                command,
                env=inherited("trainer", os.environ) | inherited("fetcher", os.environ),
                stdout=subprocess.DEVNULL,
                timeout=limit,
                check=False,
            )
            seen = Report.model_validate_json(file.read_text(encoding="utf-8"))
        except BadInput as reason:  # MEMGEN_PASS_ON
            return [refused("core", reason)], {}
        except subprocess.TimeoutExpired:
            return [error("core", f"`python -m memgen doctor` did not end within {limit:.0f} s", TELL)], {}
        except (OSError, ValidationError):
            return [error("core", f"`python -m memgen doctor` left nothing; exit code {done.returncode}", TELL)], {}
    return seen.findings, seen.card


def product_findings(environment: Mapping[str, str]) -> list[Finding]:
    """The settings of the service, its home, Redis, ports and processes."""
    try:
        settings = Settings.read()
        settings.hosts()
        settings.proxy_addresses()
    except BadInput as reason:
        return [refused("settings", reason), not_looked_at("service", "home, Redis, ports and services need settings")]
    found = [ok("settings", "all can be used")]
    home = look("home", lambda: folders.home(settings.home, settings.group))
    found += [*home, *look("tokens", lambda: folders.tokens(settings.home))]
    found += look("data folders", lambda: folders.named_folders(allowed_folders(environment)))
    found += look("clock", lambda: folders.disk_clock(settings.home))
    found += look("Redis", lambda: services.redis(settings.redis_url if settings.names_redis else None))
    found += look("ports", lambda: services.ports(settings, services.own_processes(settings.home)))
    if not services.token_is_kept(settings):
        return [*found, not_looked_at("services", "the token is open to others", "Close it first, as said above.")]
    return found + look("services", lambda: services.stack(settings))
