"""The seams: read these and you know the edges."""
