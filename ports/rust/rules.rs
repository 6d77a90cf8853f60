//! The settings of the contract, as Rust says them: what may be absent is an `Option`, what is
//! one of several is an `enum`, and each `None` is a piece of the algorithm that is left out.

use crate::real::Real;
use std::ops::Range;

/// Why there is no result.
#[derive(Debug)]
pub enum Failure {
    /// The contract does not allow such a request.
    Invalid,
    NoMemory,
}

/// `count` times the same number.
pub fn filled<T: Clone>(count: usize, x: T) -> Result<Vec<T>, Failure> {
    let mut numbers = Vec::new();
    numbers
        .try_reserve_exact(count)
        .map_err(|_| Failure::NoMemory)?;
    numbers.resize(count, x);
    Ok(numbers)
}

#[derive(Clone, Copy, PartialEq)]
pub enum Activation {
    Sigmoid,
    Tanh,
    Relu,
    Softmax,
}

#[derive(Clone, Copy)]
pub struct BatchNorm<T> {
    pub epsilon: T,
    pub rate: T,
}

#[derive(Clone, Copy)]
pub struct Dropout<T> {
    /// A unit is kept if its random word is at least this.
    pub least: f64,
    /// What the output of a unit that is kept is multiplied by.
    pub scale: T,
}

/// What is made of a descent.
#[derive(Clone, Copy)]
pub enum Method<T> {
    Plain,
    Momentum { momentum: T, nesterov: bool },
    Adam { beta1: T, beta2: T, epsilon: T },
}

pub struct Rules<T> {
    pub layers: Vec<usize>,
    pub samples: usize,
    pub alpha: T,
    pub bias: bool,
    pub activation: Activation,
    pub output: Activation,
    /// With cross-entropy, the loss's own slope cancels that of the output's activation.
    pub cross_entropy: bool,
    pub batch_size: Option<usize>,
    pub trim_value: Option<T>,
    pub trim_norm: Option<T>,
    pub l1: T,
    pub l2: T,
    pub method: Method<T>,
    pub shuffle: bool,
    pub dropout: Option<Dropout<T>>,
    pub philox_seed: u64,
    pub batch_norm: Option<BatchNorm<T>>,
}

impl<T: Real> Rules<T> {
    /// K: the output layer, and the number of weight matrices.
    pub fn last(&self) -> usize {
        self.layers.len() - 1
    }

    /// The activation of layer k.
    pub fn activation_of(&self, k: usize) -> Activation {
        if k < self.last() {
            self.activation
        } else {
            self.output
        }
    }

    /// Numbers in syn[k].
    fn size(&self, k: usize) -> usize {
        (self.layers[k] + usize::from(self.bias)) * self.layers[k + 1]
    }

    pub fn weight_count(&self) -> usize {
        (0..self.last()).map(|k| self.size(k)).sum()
    }

    /// Units that are normalised.
    pub fn norm_count(&self) -> usize {
        self.batch_norm
            .map_or(0, |_| self.layers[1..self.last()].iter().sum())
    }

    pub fn parameter_count(&self) -> usize {
        self.weight_count() + 2 * self.norm_count()
    }

    /// Numbers that the method remembers.
    pub fn memory_count(&self) -> usize {
        match self.method {
            Method::Plain => 0,
            Method::Momentum { .. } => self.parameter_count(),
            Method::Adam { .. } => 2 * self.parameter_count(),
        }
    }

    pub fn state_count(&self) -> usize {
        self.parameter_count() + self.memory_count() + 2 * self.norm_count()
    }

    /// Where each syn[k] is among the parameters.
    pub fn syn_ranges(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let sizes = (0..self.last()).map(|k| self.size(k));
        sizes
            .map(|size| {
                end += size;
                end - size..end
            })
            .collect()
    }

    /// Where layer k is among all hidden units, one after the other.
    pub fn unit_range(&self, k: usize) -> Range<usize> {
        let start = self.layers[1..k].iter().sum();
        start..start + self.layers[k]
    }
}
