"""What runs in Airflow's interpreter: DAGs, operators, sensors. Never imports TensorFlow, TFX or Beam."""
