//! Backpropagation in Rust, behind the contract of conformance/contract/backprop.h.
//!
//! This file has the algorithm, layers.rs what a layer does besides the matrix product,
//! optimise.rs what is done with a descent, network.rs the arrays, rules.rs what the settings say,
//! random.rs the generators, real.rs the numbers, boundary.rs the exported functions, settings.rs
//! the settings as they come.

#![allow(non_snake_case)] // X is the article's name

mod boundary;
mod layers;
mod network;
mod optimise;
mod random;
mod real;
mod rules;
mod settings;

use network::{Batch, Data, Network, State};
use real::{sum, Real};
use rules::{Failure, Rules};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

#[derive(Clone, Copy)]
enum Mode {
    /// With the number of the update.
    Training(u64),
    Inference,
}

// [forward]
/// x = [l, 1] syn, the 1 only with bias units. l is samples x inputs, x is samples x outputs.
fn times<T: Real>(l: &[T], inputs: usize, syn: &[T], x: &mut [T], outputs: usize) {
    let (weights, bias) = syn.split_at(inputs * outputs); // bias is empty, or the last row
    for (l, x) in l.chunks_exact(inputs).zip(x.chunks_exact_mut(outputs)) {
        for (n, x) in x.iter_mut().enumerate() {
            let products = (0..inputs).map(|m| l[m] * weights[m * outputs + n]);
            *x = sum(products) + bias.get(n).copied().unwrap_or(T::ZERO);
        }
    }
}
// [/forward]

/// error = delta syn^T. A bias unit has no place in a row of `error`, where zip ends: no error
/// goes there.
// [hidden-delta]
fn times_transposed<T: Real>(
    delta: &[T],
    outputs: usize,
    syn: &[T],
    error: &mut [T],
    inputs: usize,
) {
    for (delta, error) in delta
        .chunks_exact(outputs)
        .zip(error.chunks_exact_mut(inputs))
    {
        for (error, weights) in error.iter_mut().zip(syn.chunks_exact(outputs)) {
            *error = sum(delta.iter().zip(weights).map(|(&d, &w)| d * w));
        }
    }
}
// [/hidden-delta]

// [update]
/// descent = [l, 1]^T delta, a sum over the batch.
fn transposed_times<T: Real>(
    l: &[T],
    inputs: usize,
    delta: &[T],
    descent: &mut [T],
    outputs: usize,
) {
    let rows = delta.len() / outputs;
    let (descent, bias) = descent.split_at_mut(inputs * outputs);
    for m in 0..inputs {
        for n in 0..outputs {
            descent[m * outputs + n] =
                sum((0..rows).map(|i| l[i * inputs + m] * delta[i * outputs + n]));
        }
    }
    for (n, bias) in bias.iter_mut().enumerate() {
        *bias = sum((0..rows).map(|i| delta[i * outputs + n]));
    }
}
// [/update]

// [forward]
/// l[k+1] = activation([l[k], 1] syn[k])
fn forward<T: Real>(net: &mut Network<T>, batch: Batch<T>, mode: Mode) {
    let rules = net.rules;
    for k in 0..rules.last() {
        // Layer k is read while layer k + 1 is written.
        let (below, above) = net.layers.split_at_mut(k + 1);
        let (from, to) = (&below[k], &mut above[0]);
        let l = if k == 0 { batch.X } else { &from.l };
        let syn = &net.state.parameters[from.syn.clone()];
        times(l, from.units, syn, &mut to.l, to.units);
        let hidden = k + 1 < rules.last();
        match (rules.batch_norm, mode) {
            (Some(rule), Mode::Training(_)) if hidden => {
                layers::normalise(to, &mut net.state, rule)
            }
            (Some(rule), Mode::Inference) if hidden => {
                layers::normalise_for_inference(to, &net.state, rule)
            }
            _ => {}
        }
        layers::activate(rules.activation_of(k + 1), &mut to.l, to.units);
        if let (Some(rule), Mode::Training(n), true) = (rules.dropout, mode, hidden) {
            layers::drop_out(to, rule, rules.philox_seed, n, k + 1);
        }
    }
}
// [/forward]

/// error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]), and then
/// back through everything else between weighted inputs and output.
fn backward<T: Real>(net: &mut Network<T>, batch: Batch<T>) {
    let rules = net.rules;
    // [hidden-delta]
    for k in (1..=rules.last()).rev() {
        let (below, above) = net.layers.split_at_mut(k + 1);
        let layer = &mut below[k];
        // [output-delta]
        match above.first() {
            None => {
                for ((error, &y), &l) in layer.error.iter_mut().zip(batch.y).zip(&layer.l) {
                    *error = y - l;
                }
            }
            Some(next) => {
                let syn = &net.state.parameters[layer.syn.clone()];
                times_transposed(&next.delta, next.units, syn, &mut layer.error, layer.units);
            }
        }
        layer.delta.copy_from_slice(&layer.error);
        if k < rules.last() || !rules.cross_entropy {
            let active = if layer.active.is_empty() {
                &layer.l
            } else {
                &layer.active
            };
            layers::multiply_by_slope(rules.activation_of(k), &mut layer.delta, active);
        }
        // [/output-delta]
        // [/hidden-delta]
        for (delta, &factor) in layer.delta.iter_mut().zip(&layer.factor) {
            *delta *= factor;
        }
        if !layer.z.is_empty() {
            layers::normalise_back(layer, &net.state.parameters, &mut net.descents);
        }
        if let Some(most) = rules.trim_value {
            for delta in &mut layer.delta {
                *delta = if *delta > most {
                    most
                } else if *delta < -most {
                    -most
                } else {
                    *delta
                };
            }
        }
    }
}

// [update]
/// syn[k] += alpha [l[k], 1]^T delta[k+1], or the step made from that descent.
fn update<T: Real>(net: &mut Network<T>, batch: Batch<T>, iteration: u64) {
    for (k, pair) in net.layers.windows(2).enumerate() {
        let (from, to) = (&pair[0], &pair[1]);
        let l = if k == 0 { batch.X } else { &from.l };
        let descent = &mut net.descents[from.syn.clone()];
        transposed_times(l, from.units, &to.delta, descent, to.units);
    }
    optimise::improve(net, iteration);
}
// [/update]

/// One update. No weight changes before backward has used all the old ones.
fn iterate<T: Real>(net: &mut Network<T>, batch: Batch<T>, iteration: u64) {
    net.resize(batch.rows);
    forward(net, batch, Mode::Training(iteration));
    backward(net, batch);
    update(net, batch, iteration);
}

/// l[K] of all samples.
fn infer<'n, T: Real>(net: &'n mut Network<T>, all: Batch<T>) -> &'n [T] {
    net.resize(all.rows);
    forward(net, all, Mode::Inference);
    &net.layers[net.rules.last()].l
}

/// The state and the error at each checkpoint.
fn train<T: Real>(
    rules: &Rules<T>,
    all: Batch<T>,
    state: &[T],
    checkpoints: &[i64],
    state_out: &mut [T],
    error_out: &mut [T],
) -> Result<(), Failure> {
    let mut net = Network::new(rules, state)?;
    let mut data = Data::new(rules, all)?;
    // [checkpoint]
    let mut iteration = 0;
    for (c, &checkpoint) in checkpoints.iter().enumerate() {
        while iteration < checkpoint as u64 {
            iterate(&mut net, data.batch(iteration), iteration);
            iteration += 1;
        }
        let output = infer(&mut net, all);
        let errors = all.y.iter().zip(output).map(|(&y, &l)| (y - l).abs());
        error_out[c] = sum(errors) / T::of(output.len() as f64);
        net.state
            .write(&mut state_out[c * state.len()..(c + 1) * state.len()]);
    }
    // [/checkpoint]
    Ok(())
}

/// The networks of an ensemble, each as if it were alone, from and to its part of the slices. On
/// all cores that the process may use, a thread takes the next one until none is left.
fn train_all<T: Real>(
    rules: &Rules<T>,
    all: Batch<T>,
    states: &[T],
    checkpoints: &[i64],
    states_out: &mut [T],
    errors_out: &mut [T],
) -> Result<(), Failure> {
    let (numbers, count) = (rules.state_count(), checkpoints.len());
    let networks = states.len() / numbers;
    let parts = states
        .chunks_exact(numbers)
        .zip(states_out.chunks_exact_mut(count * numbers))
        .zip(errors_out.chunks_exact_mut(count));
    let parts = Mutex::new(parts);
    let take = || loop {
        let part = parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        match part {
            Some(((state, out), error)) => train(rules, all, state, checkpoints, out, error)?,
            None => return Ok(()),
        }
    };
    if networks == 1 {
        return take();
    }
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        let others = 1..cores.min(networks);
        let others: Vec<_> = others.map(|_| scope.spawn(take)).collect();
        others.into_iter().fold(take(), |found, other| {
            found.and(other.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    })
}

/// One update, from a batch of so many rows; the network that is left has all its intermediates.
fn step<'r, T: Real>(
    rules: &'r Rules<T>,
    all: Batch<T>,
    state: &[T],
    iteration: u64,
) -> Result<Network<'r, T>, Failure> {
    let mut net = Network::new(rules, state)?;
    let mut data = Data::new(rules, all)?;
    iterate(&mut net, data.batch(iteration), iteration);
    Ok(net)
}

fn predict<T: Real>(
    rules: &Rules<T>,
    all: Batch<T>,
    state: &[T],
    output: &mut [T],
) -> Result<(), Failure> {
    let mut net = Network::new(rules, state)?;
    output.copy_from_slice(infer(&mut net, all));
    Ok(())
}

/// The state that a run starts from, with weights drawn from a seed; those from bias units are 0.
fn initial<T: Real>(rules: &Rules<T>, numpy_seed: u32) -> Result<State<T>, Failure> {
    let mut state = State::new(rules)?;
    let mut generator = random::Mt19937::new(numpy_seed);
    for (k, syn) in rules.syn_ranges().into_iter().enumerate() {
        let drawn = rules.layers[k] * rules.layers[k + 1];
        for weight in &mut state.parameters[syn][..drawn] {
            *weight = T::of(2.0 * generator.number() - 1.0);
        }
    }
    let (weights, norms) = (rules.weight_count(), rules.norm_count());
    state.parameters[weights..weights + norms].fill(T::ONE); // gamma
    state.averages[norms..].fill(T::ONE); // the variances
    Ok(state)
}
