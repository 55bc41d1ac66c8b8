"""Settings that every run reads: the operator's models, plug-ins, and folders of data sets."""

from collections.abc import Mapping

from memgen.contract.data_sets.folders import check_folder, folder_of
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import BrokenPlugin
from memgen.contract.errors import BadInput
from memgen.contract.presets import Preset
from memgen.doctor.finding import Finding, ok, refused, warning


def models(presets: Mapping[str, Preset]) -> Finding:
    """The models that can be launched; those of the operator's file are checked by reading it."""
    folders = sum(one.folder is not None for one in presets.values())
    return ok("models", f"{len(presets)} can be launched, {folders} of them from folders of this machine")


def plug_ins(broken: tuple[BrokenPlugin, ...]) -> list[Finding]:
    """Data sets of other packages, and registered ones, that can't be used."""
    way_out = "Mend or uninstall the package, or register the data set again."
    return [warning("data sets", str(one), way_out) for one in broken]


def data_folders(known: Mapping[str, DataSet], environment: Mapping[str, str]) -> list[Finding]:
    """Each folder of rows that a setting names: whether it is there and holds the files of its data set."""
    named, unset = [], []
    for one in known.values():
        if one.folder is None:
            continue
        subject = f"data: {one.name}"
        try:
            folder = folder_of(one, environment)
            if folder is None:
                unset.append(one.folder.setting)
                continue
            check_folder(one, folder)
        except BadInput as reason:
            named.append(refused(subject, reason))
        else:
            named.append(ok(subject, f"{folder} holds {' and '.join(one.folder.files)}"))
    if unset:
        named.append(ok("data", f"from the hub, as no folder is set in {', '.join(unset)}"))
    return named
