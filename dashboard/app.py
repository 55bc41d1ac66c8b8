"""The ASGI app: Streamlit behind the login."""

import logging
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config as streamlit_config

from dashboard.compare.downloads import COMPARE_DOWNLOADS
from dashboard.login.gate import LoginGate
from dashboard.parts import api
from dashboard.parts.language import t
from dashboard.run.log_download import LOG_DOWNLOAD
from dashboard.settings import Settings

_SCRIPT = Path(__file__).parent / "main.py"
_log = logging.getLogger(__name__)


def build_app(settings: Settings, bind_host: str = "127.0.0.1") -> st.App:
    """The dashboard as an ASGI app; `.streamlit/config.toml` beside this file applies to it.

    Args:
        settings: where the backend is.
        bind_host: address that will be listened on; it decides which Host headers are good.

    Raises:
        BadInput: there is no token, or a bad one; a bad host name.
    """
    hosts = settings.allowed_hosts(bind_host)
    gate = Middleware(LoginGate, token=settings.read_token(), hosts=hosts, ended_file=settings.ended_sessions_file)
    app = st.App(_SCRIPT, routes=[LOG_DOWNLOAD, *COMPARE_DOWNLOADS], middleware=[gate], on_script_error=_show_error)
    if not hosts.any_address:  # which Streamlit's list can't say; the gate checks every request anyway
        streamlit_config.set_option("server.allowedHosts", sorted(hosts.names))
    return app


def _show_error(error: Exception) -> bool:
    """Say calmly what happened in place of a stack trace; the trace goes to the log."""
    if not api.show_error(error):
        _log.error("a page failed", exc_info=error)
        st.error(
            t("This page met an error of its own. Reload it; the dashboard's log has the details."),
            icon=":material/error:",
        )
    return True
