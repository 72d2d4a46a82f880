"""Constants of backups: the contents of an archive, and how a backup is recognised."""

from __future__ import annotations

#: Valkey's data: the queue, the cache, feedback and dead letters.
DATA = "valkey/appendonlydir"
#: Folder of the models that were trained on a user's own messages.
MODELS = "models"
#: Files with the passwords that `make run` made.
PASSWORDS = ("flower-password", "monitoring-password")
#: Files and folders of the state folder that a backup has. Logs and Prometheus's data are left out.
KEPT = (DATA, MODELS, *PASSWORDS)
#: Name of the archive's first member, which describes the backup.
DESCRIPTION = "byline-backup.json"
#: Version of the archive's layout.
LAYOUT = 1
