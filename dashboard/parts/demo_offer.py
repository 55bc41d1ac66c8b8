"""What an empty dashboard offers: everything in one click, on any machine."""

from uuid import uuid4

import streamlit as st

from backend.api.client import ApiError, Unreachable
from dashboard.parts import api
from dashboard.parts.language import t
from memgen.contract.pipeline import demo_spec

KEY = "demo_idempotency"


def demo_offer() -> None:
    """Say what the demo pipeline does, and start it with a click."""
    st.write(
        t(
            "The demo takes the smallest model through the whole pipeline: it answers 24 word problems, trains a "
            "weaver and a trigger for a few steps each, and answers again with each of them and with LTPO. Seven to "
            "15 minutes on 2 CPU cores; the first time the model is fetched (93 MB to 270 MB). So short a training "
            "shows how everything works, not that it helps."
        )
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("Run the demo"), key="run_demo", type="primary", icon=":material/play_arrow:"):
            _submit()
        st.page_link("app_pages/launch.py", label=t("Launch a run"), icon=":material/rocket_launch:")


def _submit() -> None:
    key = st.session_state.setdefault(KEY, uuid4().hex)  # two clicks make one pipeline
    try:
        pipeline = api.client().submit_pipeline(demo_spec(), key=key)
    except (Unreachable, ApiError) as error:
        api.show_error(error)
        return
    del st.session_state[KEY]
    st.switch_page("app_pages/pipeline.py", query_params={"pipeline": str(pipeline.id)})
