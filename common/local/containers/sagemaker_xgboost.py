"""The image `sagemaker-xgboost`: the built-in algorithm, or the script that the job or the model brings."""

from common.local.containers import script
from common.local.containers.base import Folders, run


def train(folders: Folders) -> None:
    """One host of a training job."""
    if script.is_training_script(folders):
        script.train(folders)
    else:
        from common.local.containers import boosting

        boosting.train(folders)


def serve(folders: Folders) -> None:
    """The inference server, until it is killed."""
    if script.is_multi_model():
        from common.local.containers import handlers, multi_model

        multi_model.serve(folders, handlers.XGBOOST)
        return
    entry = script.find_serving_script(folders)
    if entry is not None:
        from common.local.containers import handlers

        handlers.serve(entry, folders, handlers.XGBOOST)
    else:
        from common.local.containers import scoring

        scoring.serve(folders)


if __name__ == "__main__":
    run(train, serve)
