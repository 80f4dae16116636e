"""From image files to batches: decoding, pairing, checking, augmentation and loading."""
