"""The report that an approver decides from. Nothing here decides what a model learns, or whether it passes its gate."""
