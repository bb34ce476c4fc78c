"""Real servers from wheels on free loopback ports: Redis, PostgreSQL, Swift and, optionally, Keystone.

Needs neither Docker nor root, and installs nothing on the machine. All state is in one directory that can be deleted.
No server outlives the process that holds the stack, however that process ends. Independent of the rest of Sluice: it
imports no other package of ours and reads the environment instead of `pipeline.settings`.
"""

from deploy.embedded.endpoints import KeystoneEndpoint, SwiftEndpoint
from deploy.embedded.errors import ServerFailedError, StackError
from deploy.embedded.stack import EmbeddedStack, StackOptions

__all__ = ["EmbeddedStack", "KeystoneEndpoint", "ServerFailedError", "StackError", "StackOptions", "SwiftEndpoint"]
