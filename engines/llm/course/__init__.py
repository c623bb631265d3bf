"""The tutor that answers from the course alone: it quotes, asks back, and knows its manners."""
