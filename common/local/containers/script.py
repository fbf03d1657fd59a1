"""Script mode: unpack the source, install its requirements, run it with the toolkit's arguments and environment."""

import json
import os
import shlex
import signal
import site
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.archives import ArchiveError, unpack
from common.local.containers.base import Folders, UserError, fail, log

_SHOWN_ERROR_CHARACTERS = 600
"""Of the script's standard error: the platform shows 1,024 characters of the whole message."""


def is_training_script(folders: Folders) -> bool:
    return "program" in _settings(folders)


def is_multi_model() -> bool:
    """Whether the platform has started this container for a multi-model endpoint."""
    return os.environ.get("SAGEMAKER_MULTI_MODEL") == "true"


def train(folders: Folders) -> None:
    """Run the job's script as a process of its own, and end with its exit code.

    Raises:
        UserError: the source cannot be read, unpacked or installed, or has no such program.
    """
    settings = _settings(folders)
    program = settings["program"]
    code = fetch_source(settings.get("submit_directory"), folders)
    if not (code / program).is_file():
        raise UserError(f"the source has no program {program}")
    packages = install_requirements(code, folders)
    values = {key: _decode(value) for key, value in folders.read_config("hyperparameters").items()}
    hyperparameters = {key: value for key, value in values.items() if not _is_toolkits_own(key)}
    arguments = command_arguments(hyperparameters)
    interpreter = ["bash"] if program.endswith(".sh") else [sys.executable]
    paths = [str(code), str(packages), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **training_environment(folders, hyperparameters, arguments, program),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
    }
    for folder in (folders.model, folders.output_data):
        folder.mkdir(parents=True, exist_ok=True)
    _run([*interpreter, program, *arguments], code, environment, folders)


def find_serving_script(folders: Folders) -> Path | None:
    """The script that serves: `SAGEMAKER_PROGRAM`, or `inference.py` of the model's archive; None where there is none.

    Raises:
        SystemExit: SAGEMAKER_PROGRAM is nowhere.
    """
    program = os.environ.get("SAGEMAKER_PROGRAM")
    places = [folders.model / "code", folders.model]
    if program:
        try:
            places = [fetch_source(os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY"), folders), *places]
        except UserError as error:
            raise SystemExit(str(error)) from error
    found = next(
        (place / (program or "inference.py") for place in places if (place / (program or "inference.py")).is_file()),
        None,
    )
    if program and found is None:
        raise SystemExit(f"SAGEMAKER_PROGRAM {program} is neither in the submit directory nor in the model's archive")
    return found


def fetch_source(submit_directory: str | None, folders: Folders) -> Path:
    """The folder of the source: an archive in S3 or on disk is unpacked into `code/`, a folder is taken as it is.

    Raises:
        UserError: the archive is missing, damaged, or has members that would land outside.
    """
    if not submit_directory:
        return folders.code
    local = Path(submit_directory.replace("/opt/ml", str(folders.base), 1))
    if local.is_dir():
        return local
    if submit_directory.startswith("s3://"):
        local = folders.base / "sourcedir.tar.gz"
        _download(submit_directory, local)
    try:
        with local.open("rb") as archive:
            unpack(archive, folders.code)
    except (OSError, ArchiveError) as error:
        raise UserError(f"cannot unpack {submit_directory}: {error}") from error
    return folders.code


def install_requirements(code: Path, folders: Folders) -> Path:
    """Install `requirements.txt` of the source, if any, into a folder of this job; returns that folder.

    As in the image, what is installed there already is not installed again: with hashes, pip could not, since the file need
    not name it. An environment of the job's own, which sees the image's packages, lets pip find them and change none.

    Raises:
        UserError: pip failed; its last line says why.
    """
    environment = folders.base / "packages"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    if not (code / "requirements.txt").is_file():
        return packages
    venv.create(environment)
    (packages / "image.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install"]  # the image's pip
    done = subprocess.run(
        [*pip, "--disable-pip-version-check", "--no-warn-script-location", "-r", "requirements.txt"],
        cwd=code, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    log(done.stdout.rstrip())
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["pip said nothing"]
        raise UserError(f"InstallRequirementsError: pip could not install requirements.txt: {lines[-1]}")
    return packages


def command_arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """`--key value` sorted by key; a one-letter key becomes `-k`."""
    pairs = sorted(hyperparameters.items())
    return [text for key, value in pairs for text in (f"-{key}" if len(key) == 1 else f"--{key}", str(value))]


def training_environment(
    folders: Folders, hyperparameters: Mapping[str, Any], arguments: list[str], program: str
) -> dict[str, str]:
    """The toolkit's `SM_*` variables."""
    channels = folders.read_config("inputdataconfig")
    resources = folders.read_config("resourceconfig")
    facts: dict[str, Any] = {
        "model_dir": str(folders.model),
        "output_dir": str(folders.output),
        "output_data_dir": str(folders.output_data),
        "input_dir": str(folders.input),
        "input_config_dir": str(folders.config),
        "channels": sorted(channels),
        "hps": dict(hyperparameters),
        "user_args": arguments,
        "num_cpus": os.cpu_count(),
        "num_gpus": 0,
        "hosts": resources["hosts"],
        "current_host": resources["current_host"],
        "current_instance_type": resources["current_instance_type"],
        "network_interface_name": resources["network_interface_name"],
        "resource_config": resources,
        "input_data_config": channels,
        "module_name": Path(program).stem,
        "module_dir": str(folders.code),
        "user_entry_point": program,
    }
    named = facts | {"training_env": facts}
    named |= {f"channel_{name}": str(folders.channel(name)) for name in channels}
    named |= {f"hp_{name}": value for name, value in hyperparameters.items()}
    return {f"SM_{name.upper()}": _as_text(value) for name, value in named.items()}


def _is_toolkits_own(key: str) -> bool:
    """Hyperparameters that tell the toolkit what to do, or that a tuning job adds, never reach the script."""
    return key.startswith("sagemaker_") or key == "_tuning_objective_metric"


def _settings(folders: Folders) -> dict[str, str]:
    """`program`, `submit_directory`, …: from the hyperparameters `sagemaker_*`, else from `SAGEMAKER_*`."""
    given = folders.read_config("hyperparameters")
    names = ("program", "submit_directory")
    settings = {
        name: os.environ[f"SAGEMAKER_{name.upper()}"] for name in names if f"SAGEMAKER_{name.upper()}" in os.environ
    }
    return settings | {name: str(_decode(given[f"sagemaker_{name}"])) for name in names if f"sagemaker_{name}" in given}


def _decode(value: str) -> Any:
    """Hyperparameters are texts; the SDK quotes them as JSON, and what is no JSON is meant as it stands."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _download(uri: str, target: Path) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        boto3.client("s3").download_file(bucket, key, str(target))
    except (ClientError, BotoCoreError) as error:
        raise UserError(f"cannot download {uri}: {error}") from error


def _run(command: list[str], code: Path, environment: Mapping[str, str], folders: Folders) -> None:
    # the platform's SIGTERM reaches the script, too, and how to end is the script's decision
    signal.signal(signal.SIGTERM, lambda *_: None)
    log(f"Invoking script with the following command:\n\n{shlex.join(command)}\n")
    process = subprocess.Popen(command, cwd=code, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors: Any = process.stderr
    tail = bytearray()

    def copy() -> None:
        while chunk := errors.read1(65536):
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()
            tail.extend(chunk)
            del tail[:-_SHOWN_ERROR_CHARACTERS]

    reader = threading.Thread(target=copy, daemon=True)
    reader.start()
    exit_code = process.wait()
    reader.join(timeout=1)  # it reads to the end, unless a process that the script has detached holds the pipe
    if exit_code == 0:
        return
    message = tail.decode(errors="replace").strip()
    if (folders.output / "failure").exists():
        sys.exit(exit_code if exit_code > 0 else 1)
    fail(
        folders,
        f'ExecuteUserScriptError:\nExitCode {exit_code}\nErrorMessage "{message}"\nCommand "{shlex.join(command)}"',
        exit_code if exit_code > 0 else 1,
    )
