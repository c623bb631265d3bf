"""What only shows after a while or on a bad day: many conversations, a bad network, no way."""
