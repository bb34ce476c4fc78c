"""Keystone's WSGI application, for gunicorn to import.

oslo.config parses the process's arguments when Keystone is imported. It does not know gunicorn's, so the worker would
exit with status 2 and be restarted, forever. So this module removes the arguments first.
"""

import importlib
import sys

sys.argv = sys.argv[:1]
application = importlib.import_module("keystone.wsgi.api").application
