echo 'package: orders.zip' >> dags/orders.kindling.yaml  # unseen
kindling-airflow package dags/orders.kindling.yaml  # unseen
echo '# a change' >> dags/orders/orders_pipeline.py
kindling-airflow validate dags/orders.kindling.yaml
