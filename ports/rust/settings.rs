//! The settings of conformance/contract/backprop.h: whether that allows them, and what they say as `Rules`.

use crate::real::Real;
use crate::rules::{Activation, BatchNorm, Dropout, Method, Rules};

/// As in backprop.h: no array has more numbers, and no run more updates.
const MOST: i64 = 1 << 40;
const MOST_LAYERS: i64 = 65536;

/// As in backprop.h.
#[repr(C)]
pub struct Settings {
    pub layer_count: i64,
    pub layers: *const i64,
    pub samples: i64,
    pub alpha: f64,
    pub bias: i64,
    pub activation: i64,
    pub output: i64,
    pub loss: i64,
    pub batch_size: i64,
    pub iteration: i64,
    pub trim_value: f64,
    pub trim_norm: f64,
    pub l1: f64,
    pub l2: f64,
    pub momentum: f64,
    pub nesterov: i64,
    pub shuffle: i64,
    pub dropout: f64,
    pub philox_seed: i64,
    pub batch_norm: i64,
    pub norm_epsilon: f64,
    pub norm_rate: f64,
    pub adam: i64,
    pub beta1: f64,
    pub beta2: f64,
    pub adam_epsilon: f64,
    pub networks: i64,
}

fn activation(number: i64) -> Activation {
    match number {
        0 => Activation::Sigmoid,
        1 => Activation::Tanh,
        2 => Activation::Relu,
        _ => Activation::Softmax,
    }
}

/// The same checks as in backprop_valid.h, which is for C. `layers` is the array that the
/// pointer of that name points to: nobody may read it before everything else is known to be
/// valid.
impl Settings {
    /// All but the layers. `least_samples` is 0 for initial weights, and else 1.
    pub fn are_valid(&self, least_samples: i64) -> bool {
        let flags = [
            self.bias,
            self.nesterov,
            self.shuffle,
            self.batch_norm,
            self.adam,
        ];
        let counts = [self.batch_size, self.iteration, self.networks];
        flags.iter().all(|flag| (0..=1).contains(flag))
            && counts.iter().all(|count| (0..=MOST).contains(count))
            && (2..=MOST_LAYERS).contains(&self.layer_count)
            && (least_samples..=MOST).contains(&self.samples)
            && self.philox_seed >= 0
            && (0..=2).contains(&self.activation)
            && (0..=3).contains(&self.output)
            && (0..=1).contains(&self.loss)
            // Without cross-entropy, softmax would need a slope for each unit alone.
            && (self.output != 3 || self.loss == 1)
    }

    pub fn allow_layers(&self, layers: &[i64]) -> bool {
        layers.iter().all(|units| (1..MOST).contains(units)) && self.numbers(layers) <= MOST
    }

    /// Is there room for all states of a free run?
    pub fn allow_states(&self, layers: &[i64], checkpoint_count: i64) -> bool {
        let states = self.networks.max(1).saturating_mul(checkpoint_count);
        (1..=MOST).contains(&checkpoint_count)
            && states.saturating_mul(self.numbers(layers)) <= MOST
    }

    /// At least as many as any array of one network has.
    fn numbers(&self, layers: &[i64]) -> i64 {
        let sum = |a: i64, b: i64| a.saturating_add(b);
        let syn = layers
            .windows(2)
            .map(|n| (n[0] + self.bias).saturating_mul(n[1]));
        let (weights, units) = (syn.fold(0, sum), layers.iter().copied().fold(0, sum));
        // The parameters, twice as many of the method, and running averages.
        let state = sum(weights, units.saturating_mul(4)).saturating_mul(3);
        sum(state, units.saturating_mul(self.samples))
    }

    /// Of settings and layers that are valid.
    pub fn rules<T: Real>(&self, layers: &[i64]) -> Rules<T> {
        let some = |x: f64| if x != 0.0 { Some(T::of(x)) } else { None };
        Rules {
            layers: layers.iter().map(|&units| units as usize).collect(),
            samples: self.samples as usize, // 0 for initial weights, which need no data
            alpha: T::of(self.alpha),
            bias: self.bias != 0,
            activation: activation(self.activation),
            output: activation(self.output),
            cross_entropy: self.loss == 1,
            batch_size: match self.batch_size as usize {
                0 => None,
                size => Some(size),
            },
            trim_value: some(self.trim_value),
            trim_norm: some(self.trim_norm),
            l1: T::of(self.l1),
            l2: T::of(self.l2),
            method: if self.adam != 0 {
                let (beta1, beta2) = (T::of(self.beta1), T::of(self.beta2));
                Method::Adam {
                    beta1,
                    beta2,
                    epsilon: T::of(self.adam_epsilon),
                }
            } else if self.momentum != 0.0 {
                Method::Momentum {
                    momentum: T::of(self.momentum),
                    nesterov: self.nesterov != 0,
                }
            } else {
                Method::Plain
            },
            shuffle: self.shuffle != 0,
            dropout: some(self.dropout).map(|dropout: T| Dropout {
                least: self.dropout * 4294967296.0, // 2^32
                scale: T::ONE / (T::ONE - dropout),
            }),
            philox_seed: self.philox_seed as u64,
            batch_norm: if self.batch_norm != 0 {
                Some(BatchNorm {
                    epsilon: T::of(self.norm_epsilon),
                    rate: T::of(self.norm_rate),
                })
            } else {
                None
            },
        }
    }
}

/// The checkpoints of a free run do, from 0 on at the earliest.
pub fn rise(checkpoints: &[i64]) -> bool {
    checkpoints.iter().all(|c| (0..=MOST).contains(c))
        && checkpoints.windows(2).all(|c| c[0] < c[1])
}
