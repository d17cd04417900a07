"""A station that colours what it is sent and sends the result on, by rules.

The network's process keeps bytes: objects are on the disk before their sender hears of success. What they are is found
out in a child process; a series that has been quiet for a while is coloured as a batch, with its journal and its child
processes; its objects wait in the batch's outbox until the destination has said that it has them. Whatever ends the
node, the next start goes on from the disk.
"""

from __future__ import annotations

from medcolor.node.rules import NodeConfig, Rule, read_config
from medcolor.node.service import Node

__all__ = ["Node", "NodeConfig", "Rule", "read_config"]
