"""CSV and Parquet as serialized tf.Examples, block by block: what ArrowExampleGen is made of."""
