"""The HTML of the login: one form, no script, nothing loaded from anywhere."""

from html import escape

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

_STYLE = """
:root { color-scheme: light dark; --bg: #f6f8f8; --card: #ffffff; --text: #16211f; --soft: #5b6a67;
  --line: #d9e1df; --accent: #0f766e; --on-accent: #ffffff; --bad: #b42318; --bad-bg: #fef3f2; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #0f1615; --card: #18221f; --text: #e4edeb; --soft: #9db0ac; --line: #2c3a37;
    --accent: #0f7d6f; --on-accent: #ffffff; --bad: #fda29b; --bad-bg: #3a1512; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--bg); color: var(--text);
  font: 16px/1.5 "Source Sans 3", ui-sans-serif, system-ui, sans-serif; }
main { width: 100%; max-width: 25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 2rem; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; letter-spacing: -.01em; }
p { margin: 0 0 1.25rem; color: var(--soft); }
label { display: block; font-weight: 600; margin-bottom: .35rem; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: 8px; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
small { display: block; margin: .5rem 0 1.25rem; color: var(--soft); }
code { font-size: .9em; overflow-wrap: anywhere; }
button { width: 100%; padding: .65rem 1rem; font: inherit; font-weight: 600; color: var(--on-accent);
  background: var(--accent); border: 0; border-radius: 8px; cursor: pointer; }
.error { color: var(--bad); background: var(--bad-bg); border-radius: 8px; padding: .6rem .75rem;
  margin: 0 0 1rem; }
"""


def login_page(next_path: str, error: str = "") -> str:
    """The login form.

    Args:
        next_path: local path to go to after the login.
        error: what was wrong with the last try, plain text.
    """
    message = f'<p class="error" id="login-error" role="alert">{escape(error)}</p>' if error else ""
    described = "token-help login-error" if error else "token-help"
    return _document(
        "Log in",
        f"""<h1>MemGen</h1>
<p>Log in to launch and watch runs.</p>
{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(next_path)}">
<label for="token">Token</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password"
 aria-describedby="{described}">
<small id="token-help"><code>make up</code> prints it; it is also in
<code>&lt;MEMGEN_HOME&gt;/backend/token</code>.</small>
<button type="submit">Log in</button>
</form>""",
    )


def logout_page() -> str:
    """The question before a logout: a link alone must not log anybody out."""
    return _document(
        "Log out",
        """<h1>Log out?</h1>
<p>This ends the session of this browser. Runs go on.</p>
<form method="post" action="/logout"><button type="submit">Log out</button></form>
<p></p><p><a href="/">Back to MemGen</a></p>""",
    )


def message_page(title: str, text: str) -> str:
    """A page that only says something, plain text."""
    return _document(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>")


def reload_page(path: str) -> str:
    """A page that opens `path` at once, as a request of this site."""
    return _document(
        "MemGen",
        f'<p>Opening <a href="{escape(path)}">MemGen</a> ...</p>',
        head=f'<meta http-equiv="refresh" content="0;url={escape(path)}">',
    )


def _document(title: str, body: str, head: str = "") -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · MemGen</title>{head}<style>{_STYLE}</style></head>
<body><main>
{body}
</main></body></html>"""
