"""Reports on runs that MLflow has: one run as an HTML page, or many as a table over seeds.

`__main__` is the command. `run_page` makes the page of `run=`. For `sweep=`, `experiment=` and `runs=`, `seeds` groups
runs by configuration and computes means, intervals and paired tests, and `seed_tables` shows them as text, Markdown,
CSV or a picture.
"""
