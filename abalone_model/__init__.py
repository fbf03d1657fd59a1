"""How old is an abalone? The rings of its shell, predicted from what can be measured without cutting it open."""

from common.model import Model

MODEL = Model(
    name="abalone",
    description="Age of abalones (rings of the shell) from their physical measurements.",
    target="rings",
    problem="regression",
)
