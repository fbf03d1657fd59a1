"""Every failure that a person can do something about, as one tree of exceptions.

Each message says what happened, why, and what to do next. The command line prints it without a traceback and exits with
the class's `exit_code`; a traceback therefore always means a defect of this project.
"""


class ModelsError(Exception):
    """Base of every expected failure: `what` happened and why, and the `remedy` that the reader can apply.

    `told` where people hear of it otherwise: by an event of AWS's, or a notice that was sent.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str = "", *, told: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.told = told

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.remedy}" if self.remedy else self.what


class UsageError(ModelsError):
    """The command was called in a way that can never work."""

    exit_code = 2


class SettingsError(ModelsError):
    """An environment variable is missing or malformed."""


class AwsError(ModelsError):
    """AWS could not be reached, refused the credentials, or denied the action."""


class CheckoutError(ModelsError):
    """The git checkout cannot say what its source is: dirty, shallow, or no repository at all."""


class DataError(ModelsError):
    """The data are not what the model declares: schema, bounds, emptiness, a constant label."""


class SourceError(DataError):
    """The data's source cannot be read at all."""


class TrainingError(ModelsError):
    """A training or processing job failed, was stopped, or its request was refused."""


class ArtifactError(ModelsError):
    """A model artifact is not what it claims to be: damaged, foreign, or unsafe to unpack."""


class GateError(ModelsError):
    """The trained model is not good enough, and its package registered as rejected; or there is nothing to train it on."""


class RegistryError(ModelsError):
    """A package is missing, or not in the state that the command needs."""


class DeploymentError(ModelsError):
    """The wanted package is not serving after the deploy. What served before still does."""


class UnlikeTrainedError(DeploymentError):
    """The wanted package reached the endpoint, did not answer as it did when it was trained, and serves nevertheless."""


class RolledBackError(UnlikeTrainedError):
    """It was taken back: what served before serves again."""


class MonitoringError(ModelsError):
    """A window of production could not be compared with the training set; it counts neither for nor against the model."""


class NotificationError(ModelsError):
    """People could not be told. What they should know has happened nevertheless."""


class BatchError(ModelsError):
    """A partition was not scored. What was made of it is kept, and the next run goes on from there."""


class AuditError(ModelsError):
    """A vulnerability is known of something that is pinned, or nobody could say."""
