"""Means of what is logged, and the clock of the throughput."""

import math
import time

import torch
from accelerate import Accelerator

from trainers.meters import MeanMeter, Throughput


def test_means_are_over_items_and_of_what_has_some():
    meter = MeanMeter()
    meter.add("loss", torch.tensor(6.0), 3)
    meter.add("loss", torch.tensor(2.0), torch.tensor(1))
    meter.add("accuracy", torch.tensor(0), 0)
    assert meter.drain(Accelerator(cpu=True)) == {"loss": 2.0}
    assert meter.drain(Accelerator(cpu=True)) == {}


def test_a_pause_within_a_pause_counts_once():
    clock = Throughput()
    start, before = clock._start, time.perf_counter()
    with clock.paused(), clock.paused():
        time.sleep(0.05)
    assert 0.05 <= clock._start - start <= time.perf_counter() - before


def test_a_diverged_loss_is_told():
    meter = MeanMeter()
    meter.add("loss", torch.tensor(float("nan")), 3)
    assert math.isnan(meter.drain(Accelerator(cpu=True))["loss"])
