"""Real servers from wheels on free loopback ports: Redis, PostgreSQL, Swift and, if asked for, Keystone.

No Docker, no root, nothing installed on the machine. All state is in one directory that can be thrown away, and no
server outlives the process that holds the stack, however that process ends. Stands on its own: imports nothing of
Sluice, reads no settings module.
"""

from deploy.embedded.endpoints import KeystoneEndpoint, SwiftEndpoint
from deploy.embedded.errors import ServerFailedError, StackError
from deploy.embedded.stack import EmbeddedStack, StackOptions

__all__ = ["EmbeddedStack", "KeystoneEndpoint", "ServerFailedError", "StackError", "StackOptions", "SwiftEndpoint"]
