"""A filmed face: MuseTalk paints the lower half of a face to the sound of a voice."""
