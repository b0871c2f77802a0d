"""What worker processes do; imports nothing, since a spawned worker imports this module."""

import concurrent.futures
import os
import time


def square(number: int) -> int:
    """A square."""
    return number * number


def tensorflow_square(number: int) -> float:
    """A square by TensorFlow."""
    import tensorflow as tf

    return float(tf.square(float(number)))


def sum_of_squares(number: int) -> int:
    """Sum of the squares of 0 to number - 1, by workers of a worker."""
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        return sum(pool.map(square, range(number)))


def note(pids: str, seconds: float = 600) -> None:
    """Notes its process id in a file, then sleeps."""
    with open(pids, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
