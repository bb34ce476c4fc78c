"""Keystone's WSGI application, for gunicorn to import.

oslo.config parses the process's arguments when Keystone is imported. They are gunicorn's, which it does not know: the
worker would exit with status 2 and be started again, for ever. So they are taken away first.
"""

import importlib
import sys

sys.argv = sys.argv[:1]
application = importlib.import_module("keystone.wsgi.api").application
