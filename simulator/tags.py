"""The tags of the product on instances, as its documentation names them."""

TAG_PREFIX = "spot-optimizer:"
MANAGED_TAG = TAG_PREFIX + "managed"
"""Its value is the name of the stack that manages the instance."""
WORKLOAD_TAG = TAG_PREFIX + "workload"
SWITCH_TAG = TAG_PREFIX + "switch"
"""On replacements only: the switch that launched the instance."""
