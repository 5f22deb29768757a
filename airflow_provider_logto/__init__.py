"""Apache Airflow provider for Logto."""

__version__ = "0.1.0"
