"""Takes overhead out of Beam, TFMA, TensorFlow and dill while a node's executor runs; outputs stay the same.

`applied.py` has the list. Each patch is one module that names the library's file it is about, and is not applied when
the code it stands on is not what it was written for. `[tfx_airflow] library_patches = False` turns all of them off.
"""
