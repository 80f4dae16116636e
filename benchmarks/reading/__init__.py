"""What reading images of 16 bits and many channels costs beside the bare libraries."""
