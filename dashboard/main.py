"""The script that Streamlit runs for each visitor: navigation, sidebar, then the page."""

import streamlit as st

from dashboard.launch.address import forget_source
from dashboard.login.session_end import follow_session_end
from dashboard.parts.health import sidebar
from dashboard.parts.language import start_language, t
from dashboard.parts.search import search_box

# drawn here: for the browser's tab Streamlit would fetch one of its own icons from the internet
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="8" fill="#0f766e"/>'
    '<path d="M8 23V10l8 8 8-8v13" fill="none" stroke="#fff" stroke-width="3.2" stroke-linecap="round"'
    ' stroke-linejoin="round"/></svg>'
)
# the wide layout leaves more room at the sides than a table of runs can spare
STYLE = """<style>
.stMainBlockContainer { padding-inline: clamp(1rem, 3vw, 3rem); max-width: 100rem; }
[data-testid="stStatusWidget"] { display: none; } /* its Stop ends the drawing of a page, and looks like one of runs */
/* enough contrast for small letters: what is chosen on a dark page, and the name of a field that can't be filled in;
   not in dialogs, which lie outside of what knows the theme */
.stApp [data-variant="segmented_control"][aria-checked="true"] { color: light-dark(#0f766e, #4fd1c0) !important; }
.stApp [data-testid="stWidgetLabel"], .stApp [data-testid="stWidgetLabel"] p {
    color: light-dark(#0b1413, #e4edeb) !important;
}
</style>"""

start_language()
st.set_page_config(page_title="MemGen", page_icon=ICON, layout="wide", initial_sidebar_state=250)
st.html(STYLE)
st.logo(ICON, size="large")
page = st.navigation(
    {
        t("Work"): [
            st.Page("app_pages/home.py", title=t("Home"), icon=":material/home:", default=True),
            st.Page("app_pages/launch.py", title=t("Launch"), icon=":material/rocket_launch:"),
            st.Page("app_pages/try_out.py", title=t("Try"), icon=":material/forum:"),
            st.Page("app_pages/queue.py", title=t("Queue and machines"), icon=":material/low_priority:"),
        ],
        t("Results"): [
            st.Page("app_pages/runs.py", title=t("Runs"), icon=":material/list:"),
            st.Page("app_pages/pipelines.py", title=t("Pipelines"), icon=":material/linear_scale:"),
            st.Page("app_pages/checkpoints.py", title=t("Checkpoints"), icon=":material/deployed_code:"),
            st.Page("app_pages/compare.py", title=t("Compare"), icon=":material/compare_arrows:"),
            st.Page("app_pages/lineage.py", title=t("Lineage"), icon=":material/account_tree:"),
            # reached from the lists: without runs or a pipeline they have nothing to show
            st.Page("app_pages/run.py", title=t("Run"), icon=":material/monitoring:", visibility="hidden"),
            st.Page("app_pages/pipeline.py", title=t("Pipeline"), icon=":material/linear_scale:", visibility="hidden"),
            st.Page("app_pages/curves.py", title=t("Curves"), icon=":material/show_chart:", visibility="hidden"),
        ],
        t("Settings"): [
            st.Page("app_pages/data_sets.py", title=t("Data sets"), icon=":material/dataset:"),
            st.Page("app_pages/notifications.py", title=t("Notifications"), icon=":material/notifications:"),
        ],
    }
)
if page.url_path != "launch":
    forget_source()
with st.sidebar:
    search_box(page.url_path)
    sidebar()
    follow_session_end()
page.run()
