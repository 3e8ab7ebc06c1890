"""Speed of the filter and of the networks on a device."""
