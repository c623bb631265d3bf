"""What every program of the project stands on: settings from the environment, and a database."""
