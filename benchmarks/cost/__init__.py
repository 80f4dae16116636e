"""What a training step costs against image size and batch size."""
