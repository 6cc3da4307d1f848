"""``python -m reactorsync_local`` is the ``reactorsync`` command."""

from reactorsync_local.main import app

if __name__ == "__main__":
    app(prog_name="reactorsync")
