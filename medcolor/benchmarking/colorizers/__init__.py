"""One protocol for every system: the same test patients, targets, display gray and figures, one row a pair.

``views`` are what is looked at, ``arms`` what colours it, ``figures`` what is measured, ``rows`` one row of it,
``cells`` what an interrupted run keeps, ``table`` and ``page`` what is written, ``claims`` what it says of the review.
"""
