"""medcolor: faithful, learned colour for medical images.

Structure comes from the scan; only colour is invented.
"""

from __future__ import annotations

__version__ = "0.1.0"
