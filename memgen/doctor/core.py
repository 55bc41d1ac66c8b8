"""`memgen doctor`: every check of the core, on this machine as it is."""

import platform
import time
from collections.abc import Mapping
from pathlib import Path

from memgen.contract.data_sets.registry import broken_plugins, data_sets
from memgen.contract.gpus import VARIABLE
from memgen.contract.home import home_of_environment
from memgen.contract.presets import Preset, load_presets
from memgen.doctor import installed, reach, room, settings
from memgen.doctor.finding import EXIT_ERROR, Finding, exit_code, look, not_looked_at, warning
from memgen.doctor.graphics import Graphics, graphics


def examine(environment: Mapping[str, str], here: Graphics, *, serves_only: bool = False) -> list[Finding]:
    """What this machine has and lacks for a run.

    Args:
        environment: usually `os.environ`.
        here: what this machine computes with.
        serves_only: whether a machine without torch is as it should be: one that serves and does not train.
    """
    extras = [] if serves_only else ["worker"]
    findings = look("Python", lambda: installed.python(platform.python_version(), installed.wanted_python()))
    wanted, tested = installed.wanted_packages(extras), installed.versions_of_tests()
    findings += look("packages", lambda: installed.packages(wanted, tested))
    findings += [_without_trainer()] if serves_only else graphics(here, environment.get(VARIABLE))
    models = look("models", lambda: settings.models(load_presets()))
    findings += models
    if exit_code(models) == EXIT_ERROR:
        findings.append(not_looked_at("memory, disk", "what runs need of them can't be counted without the models"))
    else:
        findings += look("memory", _memory) + look("disk", lambda: _disks(load_presets()))
    findings += look("hub", lambda: _hub_and_clock(environment))
    findings += look("data", lambda: settings.data_folders(data_sets(), environment))
    return findings + look("data sets", lambda: settings.plug_ins(broken_plugins()))


def _without_trainer() -> Finding:
    way_out = "That is right where workers run on other machines; else `make install`."
    return warning("torch", "it is not installed: this machine serves, and trains and evaluates nothing", way_out)


def _memory() -> Finding:
    import psutil

    state = psutil.virtual_memory()
    return room.memory(state.available, state.total)


def _disks(presets: Mapping[str, Preset]) -> list[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    home = home_of_environment()
    cache = Path(HF_HUB_CACHE)
    return [
        room.disk("disk", home, room.free_at(home), "the files of a whole pipeline", room.outputs_of(presets)),
        room.disk("disk of weights", cache, room.free_at(cache), "the weights", room.weights_of(presets)),
    ]


def _hub_and_clock(environment: Mapping[str, str]) -> list[Finding]:
    from huggingface_hub.constants import ENDPOINT, HF_TOKEN_PATH

    has_token = reach.has_hub_token(environment, HF_TOKEN_PATH)
    finding, hubs_time = reach.hub(ENDPOINT, reach.is_offline(environment), has_token)
    return [finding, reach.clock(time.time(), {"the hub": hubs_time})]
