"""The last sections of a learner's `tiny_llm/model.py` and `tiny_llm/train.py`: what makes programs of them.

`parts` appends the text of these files, from the line that starts with "# ----" on.
"""
