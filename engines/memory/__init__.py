"""What a tutor remembers of a student from one session to the next. Pure: no database, no clock.

what was said ─┬─ noticing ─ facts, by patterns ──────────────┐
               └─ summary ── request ─ a language model ─ check ─┴─► Remembered ─ reminder ─► prompt
"""
