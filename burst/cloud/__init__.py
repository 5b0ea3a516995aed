"""Tools and services around a farm: kubectl, Helm, container builders; one module each."""
