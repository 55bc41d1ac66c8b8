"""What a page does when its session has ended: it asks for the token again and comes back."""

import streamlit as st

# Streamlit notices only that it is not let in, says so in a box without a way out, and tries again for ever. While a
# page is connected this sends nothing. The script is a fixed text of our own.
_SCRIPT = """<script>
(() => {
  const app = document.querySelector("[data-testid=stApp]");
  if (!app || window.memgenFollowsSession) return;
  window.memgenFollowsSession = true;
  let looks = false;
  const look = async () => {
    if (looks) return;
    looks = true;
    while (app.dataset.testConnectionState !== "CONNECTED") {
      try {
        if ((await fetch("/_stcore/health")).status === 401) { location.reload(); return; }
      } catch { /* the dashboard is away, and Streamlit waits for it, too */ }
      await new Promise(done => setTimeout(done, 2000));
    }
    looks = false;
  };
  new MutationObserver(look).observe(app, {attributeFilter: ["data-test-connection-state"]});
})();
</script>"""


def follow_session_end() -> None:
    """Let the page open itself anew, which leads to the login and back, once its session is not let in any more."""
    st.html(_SCRIPT, unsafe_allow_javascript=True)
