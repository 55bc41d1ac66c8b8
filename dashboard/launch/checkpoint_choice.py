"""Which checkpoint a run starts from: those that fit can be chosen, the others say why not."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.api.schemas import CheckpointOut
from dashboard.launch.config_form import GROUP, FormField, widget_key
from dashboard.parts import api
from dashboard.parts.checkpoint import origin_link
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence
from dashboard.parts.language import mark, t
from dashboard.parts.text import count, size
from dashboard.parts.url_state import run_numbers
from memgen.contract.checkpoint_kinds import KINDS, Kind
from memgen.contract.stage import Form, Need
from memgen.contract.stage_configs import LENGTHS
from memgen.contract.stages import STAGES, forms
from memgen.contract.titles import title_of, words_of

OFFERED = 50  # checkpoints that fit, and of those that don't


def choose_checkpoint(
    form_name: str, field: FormField, config: Mapping[str, Any], draft: Mapping[str, Any], *, preset: str | None
) -> CheckpointOut | None:
    """The chosen checkpoint; None where none is chosen or none is there.

    Args:
        form_name: what the run is to be.
        field: `checkpoint` of its config.
        config: the other fields; lengths decide what fits.
        draft: to start from.
        preset: the model that it must have been made for; None takes any.
    """
    lengths = {name: config[name] for name in LENGTHS if config.get(name) is not None}
    with api.page_errors():
        found = api.client().checkpoints(
            stage=config["stage"], setting=config.get("setting"), preset=preset, **lengths, limit=OFFERED,
            also=run_numbers(str(st.session_state.get(widget_key(field)) or draft.get("checkpoint") or "")),
        )  # fmt: skip
    usable = {str(one.id): one for one in found.items if one.usable}
    others = [one for one in found.items if not one.usable]
    stage, form = forms()[form_name]
    need = stage.need(config.get("setting", form.setting))
    optional = need is None
    _start(widget_key(field), draft.get("checkpoint"), usable, others, optional)
    chosen: str | None = None
    if usable or optional:
        chosen = st.selectbox(
            field.label,
            list(usable),
            index=None,
            key=widget_key(field),
            help=field.help or None,
            placeholder=t("none: starts anew") if optional else t("choose a checkpoint"),
            disabled=not usable,
            format_func=lambda name: checkpoint_text(usable[name]),
            on_change=_forget_revision,
        )
        if len(usable) >= OFFERED:
            st.caption(
                t("The newest {n} that fit. From an older one go on with a tick on the page *Checkpoints*.", n=OFFERED)
            )
    else:
        _none(need)
    if chosen:
        _details(usable[chosen])
    _not_suitable(others)
    return usable[chosen] if chosen else None


def _forget_revision() -> None:
    # the checkpoint's own is taken; that of another model would be refused
    st.session_state[f"{GROUP}_revision"] = ""


def _start(
    key: str, wanted: Any, usable: Mapping[str, CheckpointOut], others: Sequence[CheckpointOut], optional: bool
) -> None:
    """Set what the box starts from; a checkpoint that no longer fits is named and dropped."""
    chosen = st.session_state.get(key, None if wanted is None else str(wanted))
    if chosen is not None and chosen not in usable:
        reason = next((one.reason for one in others if str(one.id) == chosen), t("there is none of this number"))
        st.warning(
            t(
                "Checkpoint {number} can't be used here: {reason}.",
                number=escape_markdown(str(chosen)),
                reason=sentence(reason),
            ),
            icon=":material/link_off:",
        )
        chosen = None
    elif chosen is None and key not in st.session_state and len(usable) == 1 and not optional:
        chosen = next(iter(usable))
    if usable or optional:
        st.session_state[key] = chosen
    else:  # no box is drawn; once another model has a single checkpoint it is taken
        st.session_state.pop(key, None)


def _none(need: Need) -> None:
    trainings = _trainings(need)
    ways = " ".join(
        t("A {kind} is trained by *{form}*.", kind=t(kind.label), form=t(form.label)) for kind, form in trainings
    )
    st.info(f"{t('No checkpoint fits this step yet.')} {ways}", icon=":material/deployed_code:")
    with st.container(horizontal=True):
        for kind, form in trainings:
            st.page_link(
                "app_pages/launch.py", label=t("Train a {kind}", kind=t(kind.label)), icon=f":material/{kind.icon}:",
                query_params={"what": form.name},
            )  # fmt: skip


def _trainings(need: Need) -> list[tuple[Kind, Form]]:
    """The trainings that lead to what a run needs, in their order, each from the checkpoint of the one before."""
    stage = next((stage for stage in STAGES if stage.makes is not None and stage.makes == need), None)
    if stage is None or stage.makes is None:
        return []
    return [*_trainings(stage.need("")), (KINDS[stage.makes], stage.launch.forms[0])]


def checkpoint_text(one: CheckpointOut) -> str:
    """`12 · weaver_sft · Qwen3-14B · my note · step 16 · weaver · static latents · 1a2b3c4d`, plain text."""
    parts = [str(one.id), one.made_by, one.preset.rpartition("/")[-1], one.note]
    parts.append("" if one.step is None else t("step {number}", number=count(one.step)))
    parts += [" + ".join(one.trained), one.ablation, (one.content_hash or "")[:8]]
    return " · ".join(one_line(part) for part in parts if part)


def _details(one: CheckpointOut) -> None:
    parts = [t("trained: {parts}", parts=", ".join(map(t, one.trained)))] if one.trained else []
    parts += [f"{t(title_of(name))}: {t(words_of(name, value))}" for name, value in one.latents.items()]
    if one.size_bytes is not None:
        parts.append(size(one.size_bytes))
    if one.content_hash:
        parts.append(t("hash {hash}", hash=one.content_hash))
    with st.container(key="checkpoint_details", gap=None):
        st.caption(escape_markdown(" · ".join(parts)))
        origin_link(
            one.id,
            outside=one.from_outside,
            of_run=mark("The checkpoint of run {number}"),
            from_outside=mark("The checkpoint {number} from outside"),
        )


def _not_suitable(others: Sequence[CheckpointOut]) -> None:
    if not others:
        return
    with st.expander(t("Not suitable ({n})", n=len(others)), key="unusable_checkpoints"):
        # one text: a list of many elements takes the browser long
        st.markdown(
            "\n\n".join(f"**{escape_markdown(checkpoint_text(one))}**  \n{sentence(one.reason)}" for one in others)
        )
