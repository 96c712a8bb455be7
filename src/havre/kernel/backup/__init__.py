"""The control plane's own state as one archive, and back on another machine.

`take` copies it while the platform runs; `restore` puts it into an empty data folder after the whole archive was
verified; `kernel.settle` is what the first start after that does, once. What is derived again (releases, caches,
stacks, the proxy's files) and the logs of apps are not in it.
"""

from havre.kernel.backup.model import Item, Manifest
from havre.kernel.backup.restore import restore
from havre.kernel.backup.take import KEPT, Source, take

__all__ = ["KEPT", "Item", "Manifest", "Source", "restore", "take"]
