"""The documentation site: MyST pages of this folder, and references made from the code's own tables."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "spot_optimizer"), str(ROOT / "docs")]

project = "Spot Optimizer"
project_copyright = "Spot Optimizer contributors"
extensions = ["myst_parser", "references"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
"""Headings are linked as on GitHub, where the same pages are read."""
html_theme = "furo"
html_title = "Spot Optimizer"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
highlight_language = "none"
smartquotes = False
"""A dash of an option stays a dash."""
