"""Using a trained model: translate, encode, sample. Nothing here knows how models are trained."""
