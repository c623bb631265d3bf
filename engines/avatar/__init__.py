"""Show: the face that speaks, and the bodies of its engines."""
