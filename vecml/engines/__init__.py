"""Every way to run the inference, one file each, behind the interface in `base`."""
