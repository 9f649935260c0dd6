"""A run of a DAG, shown on the plan that it was stored with; knows neither Airflow nor Spark.

stored_tasks   what a stored DAG says of its tasks
stored_plan    the plan of these tasks, as far as it follows from them
changes        the states of a run's tasks, as short as a page needs them
details        what a page shows of one pipe's report
page           the page: the drawing of ``plan_report``, with the run on it
"""
