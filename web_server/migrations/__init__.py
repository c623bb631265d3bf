"""The steps of the database's form, oldest first. A new one is written with
`python -m web_server revision "What changes"`, and read before it is kept."""
