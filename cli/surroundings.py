"""What a command finds around it: the project, `.env`, the settings and the engine's address."""

import os
from pathlib import Path

from dotenv import dotenv_values

from serve_app.settings import Settings, read_settings

PROJECT = Path(__file__).resolve().parents[1]


def take_env_files() -> None:
    """Put `.env` of this folder, and then of the project, into the environment.

    The engine runs in the project's folder: this way it reads what the command has read. What is
    set already stays, as everywhere.
    """
    for folder in dict.fromkeys((Path.cwd(), PROJECT)):
        for name, value in dotenv_values(folder / ".env").items():
            if value and not os.environ.get(name):
                os.environ[name] = value


def settings_in_force() -> Settings:
    """Raises `SettingsError` naming every wrong setting."""
    take_env_files()
    return read_settings()


def run_folder(settings: Settings) -> Path:
    """Where the PID file, the log and the resolved graph lie."""
    # Absolute, because the engine's own working folder is another one.
    return settings.tutor_home.expanduser().resolve() / "run"


def api_key(settings: Settings, given: str | None) -> str | None:
    if given:
        return given
    key = settings.engine_api_key
    return key.get_secret_value() if key else None
