"""What an empty dashboard offers: an effect in one click, on any machine."""

from typing import Any
from uuid import uuid4

import streamlit as st

from backend.api.client import ApiError, Unreachable
from dashboard.parts import api
from dashboard.parts.language import t
from memgen.contract.demo import LIVE_NOTE, demo_spec, live_config

KEY = "demo_idempotency"


def demo_offer() -> None:
    """Say what the demo does, and start it with a click."""
    st.write(
        t(
            "The demo lets the smallest model answer 48 word problems: alone, with a weaver that was trained on such "
            "problems, with its trigger, with LTPO, and with a plain LoRA as the control, and compares them. What is "
            "trained comes with MemGen Studio. Beside it a weaver is trained for a few steps, to show the curves. "
            "About five minutes on 2 CPU cores; the first time the model is fetched (93 MB)."
        )
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        demo_button(type="primary")
        st.page_link("app_pages/launch.py", label=t("Launch a run"), icon=":material/rocket_launch:")


def demo_button(**looks: Any) -> None:
    """Starts the demo with a click."""
    help_text = t("What a trained weaver, trigger, LTPO and a plain LoRA change. About five minutes on 2 CPU cores.")
    if st.button(t("Run the demo"), key="run_demo", icon=":material/play_arrow:", help=help_text, **looks):
        _submit()


def _submit() -> None:
    key = st.session_state.setdefault(KEY, uuid4().hex)  # two clicks make one pipeline
    try:
        shipped = api.client().shipped_checkpoints()
        pipeline = api.client().submit_pipeline(demo_spec(shipped.model_dump()), key=key)
        api.client().submit(live_config().model_dump(mode="json"), note=LIVE_NOTE, key=f"{key}-live")
    except (Unreachable, ApiError) as error:
        api.show_error(error)
        return
    del st.session_state[KEY]
    st.switch_page("app_pages/pipeline.py", query_params={"pipeline": str(pipeline.id)})
