"""Samples and batches to learn from, made of shots of video, photos and banks."""
