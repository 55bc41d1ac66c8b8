"""A page that draws hostile texts in every kind of element that takes foreign text."""

HOSTILE = [
    "see https://evil.example/a_b?c=d#e, HTTP://EVIL.EXAMPLE or http://[::1]/x",
    "www.evil.example and WWW.evil.example",
    "mail a.b+c@evil.example or mailto:x@evil.example",
    ":material/home: :material_home: :smile: :+1: :streamlit: 12:30:10",
    ":red[x] :blue-background[y] :small[z] :color[w]{foreground=red} :help[h]",
    "[a](https://evil.example) [b](javascript:alert(1)) <https://evil.example> [c]: https://evil.example",
    "![p](https://evil.example/p.png) ![](data:image/png;base64,AAAA)",
    "<b>bold</b> <img src=x onerror=alert(1)> <script>alert(1)</script> &lt;i&gt; &#60;",
    "**b** __b__ *i* ~~s~~ `c` $x^2$ $$y$$ | a | b | # h > q - l 1. n",
    "a -> b <- c <-> d -- e >= f <= g ~= h",
    "`https://evil.example` `:material/home` `",
    "\\https://evil.example \\:smile: \\\\",
]


def draw() -> None:
    """The page: each text in each kind of element that takes foreign text."""
    import altair as alt
    import pandas as pd
    import streamlit as st

    from dashboard.parts.foreign_text import escape_markdown, one_line, plain_frame, sentence

    for number, text in enumerate(HOSTILE):
        with st.container(key=f"markdown_{number}"):
            st.markdown(escape_markdown(text))
        with st.container(key=f"bold_{number}"):
            st.markdown(f"**{escape_markdown(text)}**", help=escape_markdown(text))
        with st.container(key=f"caption_{number}"):
            st.caption(escape_markdown(text))
        with st.container(key=f"warning_{number}"):
            st.warning(f"- {escape_markdown(text)}\n- {escape_markdown(text)}")
        with st.container(key=f"link_{number}"):
            st.page_link("https://studio.example", label=escape_markdown(text))
        with st.container(key=f"expander_{number}"):
            st.expander(escape_markdown(text))
        with st.container(key=f"radio_{number}"):
            st.radio("R", [text], format_func=escape_markdown, label_visibility="collapsed")
        with st.container(key=f"progress_{number}"):
            st.progress(0.5, text=escape_markdown(text))
        st.error(sentence(text))
    st.selectbox("S", HOSTILE, format_func=one_line)
    st.dataframe(plain_frame([{"t": text} for text in HOSTILE], ["t"]))
    frame = pd.DataFrame({"x": [1, 2], "y": HOSTILE[:2]})
    st.altair_chart(alt.Chart(frame).mark_point().encode(x="x:Q", y="y:N", tooltip=["y:N"]))
    st.graphviz_chart('digraph { a [label="drawn"] }')
    st.markdown("the end")


if __name__ == "__main__":  # as Streamlit runs it
    draw()
