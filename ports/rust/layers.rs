//! What a layer does besides the matrix product, each operation beside its derivative.

use crate::network::{Layer, State};
use crate::random::{Purpose, Stream};
use crate::real::{sum, Real};
use crate::rules::{Activation, BatchNorm, Dropout};

// [forward]
fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}
// [/forward]

/// Turns weighted inputs, rows of so many units, into outputs.
pub fn activate<T: Real>(activation: Activation, x: &mut [T], units: usize) {
    match activation {
        Activation::Sigmoid => x.iter_mut().for_each(|x| *x = sigmoid(*x)),
        Activation::Tanh => x.iter_mut().for_each(|x| *x = x.tanh()),
        Activation::Relu => x
            .iter_mut()
            .for_each(|x| *x = if *x > T::ZERO { *x } else { T::ZERO }),
        Activation::Softmax => x.chunks_exact_mut(units).for_each(softmax),
    }
}

/// A whole row at once. Without its maximum, no exp can overflow.
fn softmax<T: Real>(x: &mut [T]) {
    let largest = x
        .iter()
        .fold(x[0], |most, &x| if x > most { x } else { most });
    x.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let total = sum(x.iter().copied());
    x.iter_mut().for_each(|x| *x /= total);
}

/// delta *= the activation's derivative, from its output.
pub fn multiply_by_slope<T: Real>(activation: Activation, delta: &mut [T], active: &[T]) {
    let pairs = delta.iter_mut().zip(active);
    match activation {
        // [output-delta]
        // [hidden-delta]
        Activation::Sigmoid => pairs.for_each(|(d, &l)| *d *= l * (T::ONE - l)),
        // [/hidden-delta]
        // [/output-delta]
        Activation::Tanh => pairs.for_each(|(d, &l)| *d *= T::ONE - l * l),
        Activation::Relu => {
            pairs.for_each(|(d, &l)| *d *= if l > T::ZERO { T::ONE } else { T::ZERO })
        }
        // Only with cross-entropy, whose slope cancels this one: rules.rs refuses
        // everything else.
        Activation::Softmax => unreachable!(),
    }
}

/// Leaves units of layer k out at random, and scales the others to make up for them. The
/// activation's output is kept, since the slope is taken from it.
pub fn drop_out<T: Real>(layer: &mut Layer<T>, rule: Dropout<T>, seed: u64, n: u64, k: usize) {
    let mut stream = Stream::new(seed, n, k, Purpose::Dropout);
    layer.active.copy_from_slice(&layer.l);
    for (i, (factor, l)) in layer.factor.iter_mut().zip(&mut layer.l).enumerate() {
        let kept = f64::from(stream.word(i)) >= rule.least;
        *factor = if kept { rule.scale } else { T::ZERO };
        *l *= *factor;
    }
}

/// Column n of a matrix whose rows have so many units.
fn column<T: Real>(x: &[T], units: usize, n: usize) -> impl Iterator<Item = T> + '_ {
    x[n..].iter().step_by(units).copied()
}

/// Each column of l, now the weighted inputs, gets mean beta and deviation gamma; the
/// running averages take in one more batch. z is kept for backward.
pub fn normalise<T: Real>(layer: &mut Layer<T>, state: &mut State<T>, rule: BatchNorm<T>) {
    let units = layer.units;
    let rows = T::of((layer.l.len() / units) as f64);
    for n in 0..units {
        let mean = sum(column(&layer.l, units, n)) / rows;
        let square = |x: T| (x - mean) * (x - mean);
        let variance = sum(column(&layer.l, units, n).map(square)) / rows;
        let deviation = (variance + rule.epsilon).sqrt();
        let (gamma, beta) = (
            state.parameters[layer.gamma.start + n],
            state.parameters[layer.beta.start + n],
        );
        for (x, z) in layer.l[n..]
            .iter_mut()
            .zip(&mut layer.z[n..])
            .step_by(units)
        {
            *z = (*x - mean) / deviation;
            *x = gamma * *z + beta;
        }
        layer.deviation[n] = deviation;
        for (place, now) in [
            (layer.mean.start + n, mean),
            (layer.variance.start + n, variance),
        ] {
            let average = &mut state.averages[place];
            *average += rule.rate * (now - *average);
        }
    }
}

/// The same with running averages instead of the batch's own.
pub fn normalise_for_inference<T: Real>(
    layer: &mut Layer<T>,
    state: &State<T>,
    rule: BatchNorm<T>,
) {
    for n in 0..layer.units {
        let (gamma, beta) = (
            state.parameters[layer.gamma.start + n],
            state.parameters[layer.beta.start + n],
        );
        let (mean, variance) = (
            state.averages[layer.mean.start + n],
            state.averages[layer.variance.start + n],
        );
        let deviation = (variance + rule.epsilon).sqrt();
        for x in layer.l[n..].iter_mut().step_by(layer.units) {
            *x = gamma * ((*x - mean) / deviation) + beta;
        }
    }
}

/// Back through normalise(): column n of delta, the error of its output, becomes that of
/// its input. Mean and deviation depend on every row, and so each row's error depends on
/// all rows.
pub fn normalise_back<T: Real>(layer: &mut Layer<T>, parameters: &[T], descents: &mut [T]) {
    let units = layer.units;
    let rows = T::of((layer.delta.len() / units) as f64);
    for n in 0..units {
        let both = column(&layer.delta, units, n).zip(column(&layer.z, units, n));
        let total = sum(column(&layer.delta, units, n));
        let product = sum(both.map(|(e, z)| e * z));
        descents[layer.gamma.start + n] = product;
        descents[layer.beta.start + n] = total;
        let gamma = parameters[layer.gamma.start + n];
        let (mean, along) = (gamma * total / rows, gamma * product / rows);
        for (delta, &z) in layer.delta[n..]
            .iter_mut()
            .zip(&layer.z[n..])
            .step_by(units)
        {
            *delta = (gamma * *delta - mean - z * along) / layer.deviation[n];
        }
    }
}
