"""The panes of the workbench: each stands alone and knows none of the others."""
