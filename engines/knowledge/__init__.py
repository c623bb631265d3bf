"""Know: what stands in a course's documents, cut into passages that can be found and quoted."""
