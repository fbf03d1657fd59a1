"""What can go wrong when a pipeline is read, planned or played."""

from common.errors import ModelsError


class PipelineError(ModelsError):
    """The pipeline could not be planned or played at all; a job that fails is a result, not an error."""


class ConfigError(PipelineError):
    """A CircleCI file is malformed, or says something that the player does not know."""
