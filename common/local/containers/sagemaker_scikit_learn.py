"""The image `sagemaker-scikit-learn`, which always runs a script."""

from common.local.containers import script
from common.local.containers.base import Folders, UserError, run


def train(folders: Folders) -> None:
    """One host of a training job."""
    if not script.is_training_script(folders):
        raise UserError("sagemaker-scikit-learn needs a script: the hyperparameter sagemaker_program names none")
    script.train(folders)


def serve(folders: Folders) -> None:
    """The inference server, until it is killed."""
    from common.local.containers import handlers, multi_model

    if script.is_multi_model():
        multi_model.serve(folders, handlers.SCIKIT_LEARN_MULTI_MODEL)
        return
    entry = script.find_serving_script(folders)
    if entry is None:
        raise SystemExit("no inference script: neither SAGEMAKER_PROGRAM nor inference.py in the model's archive")
    handlers.serve(entry, folders, handlers.SCIKIT_LEARN)


if __name__ == "__main__":
    run(train, serve)
