"""The local web page of ``kubectl selfheal dashboard``.

``server`` takes connections, ``access`` says who may ask, ``routes`` answers, ``shared_reads``
keeps the requests to the API server few, and ``site`` has the page: plain HTML, CSS and JavaScript.
"""
