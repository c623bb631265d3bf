"""Reads the documents of a course. `extract.extract` is the way in.

    extract ── the file's path ──► python -m …documents.reading   a child with limits
       ▲                              kinds: what is it, by its content?
       │                              pdf · docx · pptx · markdown · html · csv · text ──► Draft
       └──────── JSON: blocks, notes, or why not ◄───────────────────────────────────────────┘

What comes from strangers is only ever parsed in the child: a bomb or a parser's crash costs nobody
else anything.
"""
