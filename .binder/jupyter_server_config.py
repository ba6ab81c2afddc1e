"""Jupyter's settings on Binder: the folders with the solutions and with the tests' answers are not listed."""
c = get_config()  # noqa: F821  (Jupyter provides it)
c.ContentsManager.hide_globs.extend(["source", "tests"])
