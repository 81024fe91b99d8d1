"""The network in plain Keras: `compile` and `fit` over tf.data, as tutorials write it."""

import argparse
import time

import keras
import tensorflow as tf
from keras import layers

from kerasdl.benchmark.measurement import Measurement, mnist, peak_memory


class FirstStep(keras.callbacks.Callback):
    """Notes when the first step is done; from the second epoch on it is gone and costs nothing."""

    at = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.at = self.at or time.time()


def dataset(split: str, training: bool) -> tf.data.Dataset:
    images, labels = mnist(split)
    data = tf.data.Dataset.from_tensor_slices((images[..., None], labels)).cache()
    data = data.shuffle(60_000).batch(64) if training else data.batch(1000)
    data = data.map(lambda x, y: ((tf.cast(x, tf.float32) / 255 - 0.1307) / 0.3081, y), tf.data.AUTOTUNE)
    return data.prefetch(tf.data.AUTOTUNE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    train, test = dataset("train", True), dataset("t10k", False)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(10, 5),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Conv2D(20, 5),
            layers.SpatialDropout2D(0.5),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.5), loss, metrics=["accuracy"])
    first, seconds = FirstStep(), []
    for epoch in range(arguments.epochs):
        start = time.perf_counter()
        model.fit(train, verbose=0, callbacks=[] if epoch else [first])
        seconds.append(time.perf_counter() - start)
    Measurement(first.at, seconds, model.evaluate(test, verbose=0)[1], peak_memory()).report()


if __name__ == "__main__":
    main()
