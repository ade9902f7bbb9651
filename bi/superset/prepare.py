"""Make Superset's metadata database fit this checkout: schema, one admin, the dashboard. Runs in Superset's own venv.

Belongs here: what needs Superset imported. Does not: paths, passwords, processes (`serve.py`).

    python prepare.py BUNDLE      BUNDLE: the zip that `superset import-dashboards` takes too

Reads the admin's password from standard input. Safe to repeat: what is there is overwritten by the bundle.
"""

import sys
from typing import Any
from zipfile import ZipFile

import yaml
from flask import g
from flask_migrate import upgrade
from superset.app import create_app

ADMIN = "admin"


def main(bundle: str, password: str) -> None:
    """Bring the database up to date, then import."""
    app = create_app()
    with app.app_context():
        from superset.extensions import migrate

        upgrade(directory=migrate.directory)
        _import(bundle, _admin(password))


def _admin(password: str) -> Any:
    from superset import appbuilder, security_manager
    from superset.extensions import db

    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    user = security_manager.find_user(username=ADMIN)
    if user is None:
        role = security_manager.find_role("Admin")
        user = security_manager.add_user(ADMIN, "Taker", "Admin", "admin@localhost", role, password=password)
    else:
        security_manager.reset_password(user.id, password)
    db.session.commit()
    return user


def _import(bundle: str, user: Any) -> None:
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    with ZipFile(bundle) as files:
        contents = {name.split("/", 1)[1]: files.read(name).decode() for name in files.namelist()}
    # `import-dashboards` overwrites the dashboard only and leaves older charts and datasets as they are; importing the
    # same files as assets overwrites all of them.
    contents["metadata.yaml"] = yaml.safe_dump(yaml.safe_load(contents["metadata.yaml"]) | {"type": "assets"})
    g.user = user
    ImportAssetsCommand(contents).run()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read().strip())
