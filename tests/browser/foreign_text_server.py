"""Serves the page of hostile texts behind the dashboard's login; its arguments are a port and a token."""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

from backend.serving.hosts import allowed_hosts
from backend.serving.http_server import http_server, run_server
from dashboard.login.gate import LoginGate

gate = Middleware(LoginGate, token=sys.argv[2], hosts=allowed_hosts("127.0.0.1", "", ""))
config.set_option("browser.gatherUsageStats", False)
page = st.App(Path(__file__).with_name("foreign_text_page.py"), middleware=[gate])
run_server(http_server(page, host="127.0.0.1", port=int(sys.argv[1])))
