"""Pages of this package in Airflow's UI, served by the API server.

    catalog    which pages there are, and where the UI shows them; imports nothing
    app        the FastAPI application below ``/kindling`` that serves the routes of all pages
    access     asks Airflow's auth manager for the DAG of a route
    answers    HTML and JSON answers with their headers

A page is one or two rows in ``catalog.PAGES`` and a module with a ``router``.
"""
