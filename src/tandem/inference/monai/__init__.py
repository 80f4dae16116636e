"""Models as MONAI bundles: written here, and run by MONAI with the network of this package."""
