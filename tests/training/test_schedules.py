"""Schedules against values that can be computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.training.schedules import Constant, Cosine, Exponential, Step

SIZES = {"steps_per_epoch": 10, "total_steps": 100}


def factors(schedule, steps):
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


def test_constant_stays():
    assert factors(Constant(**SIZES), [0, 7, 1000]) == [1, 1, 1]


def test_step_falls_after_every_two_epochs():
    np.testing.assert_allclose(factors(Step(every=2, factor=0.1, **SIZES), [0, 19, 20, 39, 40]), [1, 1, 0.1, 0.1, 0.01])


def test_exponential_falls_smoothly_and_counts_steps_if_asked():
    schedule = Exponential(every=4, factor=0.5, unit="steps", **SIZES)
    np.testing.assert_allclose(factors(schedule, [0, 2, 4, 8]), [1, math.sqrt(0.5), 0.5, 0.25], rtol=1e-6)


def test_cosine_goes_from_one_to_final_over_the_whole_training():
    schedule = Cosine(final=0.2, **SIZES)
    np.testing.assert_allclose(factors(schedule, [0, 50, 100, 200]), [1, 0.6, 0.2, 0.2], rtol=1e-6)


def test_cosine_with_a_length_of_its_own():
    np.testing.assert_allclose(factors(Cosine(length=2, **SIZES), [0, 10, 20, 30]), [1, 0.5, 0, 0], atol=1e-7)


@pytest.mark.parametrize("schedule", [Constant, Step, Exponential, Cosine])
def test_warm_up_rises_linearly_and_then_the_own_clock_starts(schedule):
    warm = schedule(warmup=0.4, **SIZES)
    np.testing.assert_allclose(factors(warm, [0, 1, 2, 3]), [0.25, 0.5, 0.75, 1.0])
    assert factors(warm, [4]) == [1.0]
