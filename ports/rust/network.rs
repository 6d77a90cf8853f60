//! The network that lib.rs works on: its state, the arrays of its layers, its batch.
//!
//! All memory is taken in `Network::new` and `Data::new`. Afterwards vectors are only made
//! shorter, and again as long as they were.

use crate::random;
use crate::real::Real;
use crate::rules::{filled, Failure, Rules};
use std::ops::Range;

/// What an update changes. Weights, gamma and beta are parameters: the method treats them alike.
pub struct State<T> {
    pub parameters: Vec<T>,
    /// With momentum the velocities of all parameters; with Adam all m, then all v.
    pub memory: Vec<T>,
    /// With batch normalisation: the means, then the variances.
    pub averages: Vec<T>,
}

impl<T: Real> State<T> {
    pub fn new(rules: &Rules<T>) -> Result<Self, Failure> {
        Ok(State {
            parameters: filled(rules.parameter_count(), T::ZERO)?,
            memory: filled(rules.memory_count(), T::ZERO)?,
            averages: filled(2 * rules.norm_count(), T::ZERO)?,
        })
    }

    /// From the order of the contract.
    pub fn read(&mut self, numbers: &[T]) {
        let (parameters, others) = numbers.split_at(self.parameters.len());
        let (memory, averages) = others.split_at(self.memory.len());
        self.parameters.copy_from_slice(parameters);
        self.memory.copy_from_slice(memory);
        self.averages.copy_from_slice(averages);
    }

    pub fn write(&self, numbers: &mut [T]) {
        let (parameters, others) = numbers.split_at_mut(self.parameters.len());
        let (memory, averages) = others.split_at_mut(self.memory.len());
        parameters.copy_from_slice(&self.parameters);
        memory.copy_from_slice(&self.memory);
        averages.copy_from_slice(&self.averages);
    }
}

/// What a pass computes of layer k, samples x units if not said otherwise, and where its numbers
/// are in the state. Layer 0 has no arrays: its output is the batch.
pub struct Layer<T> {
    pub units: usize,
    pub l: Vec<T>,
    pub error: Vec<T>,
    pub delta: Vec<T>,
    /// With dropout: the activation's output, of which `l` is the kept part.
    pub active: Vec<T>,
    /// With dropout: 0, or the factor of a unit that is kept.
    pub factor: Vec<T>,
    /// With batch normalisation: the weighted inputs, normalised.
    pub z: Vec<T>,
    /// With batch normalisation, for each unit: the root of the batch's variance.
    pub deviation: Vec<T>,
    /// The weights from here to the next layer, among parameters and descents.
    pub syn: Range<usize>,
    pub gamma: Range<usize>,
    pub beta: Range<usize>,
    /// Among the averages.
    pub mean: Range<usize>,
    pub variance: Range<usize>,
}

impl<T: Real> Layer<T> {
    /// Makes the arrays that are in use as long as a batch of this many samples.
    fn resize(&mut self, rows: usize) {
        let arrays = [
            &mut self.l,
            &mut self.error,
            &mut self.delta,
            &mut self.active,
            &mut self.factor,
            &mut self.z,
        ];
        for array in arrays {
            if !array.is_empty() {
                array.resize(rows * self.units, T::ZERO);
            }
        }
    }
}

pub struct Network<'a, T> {
    pub rules: &'a Rules<T>,
    pub state: State<T>,
    pub layers: Vec<Layer<T>>,
    /// The descents of all parameters.
    pub descents: Vec<T>,
    rows: usize,
}

impl<'a, T: Real> Network<'a, T> {
    /// A network with room for a batch of all samples.
    pub fn new(rules: &'a Rules<T>, state: &[T]) -> Result<Self, Failure> {
        let (last, norms) = (rules.last(), rules.norm_count());
        let mut layers = Vec::new();
        for (k, syn) in rules.syn_ranges().into_iter().chain([0..0]).enumerate() {
            let hidden = 0 < k && k < last;
            let units = rules.layers[k];
            let room = |used: bool| filled(if used { rules.samples * units } else { 0 }, T::ZERO);
            let normed = hidden && rules.batch_norm.is_some();
            let place = if normed { rules.unit_range(k) } else { 0..0 };
            let after = |start: usize| start + place.start..start + place.end;
            layers.push(Layer {
                units,
                l: room(k > 0)?,
                error: room(k > 0)?,
                delta: room(k > 0)?,
                active: room(hidden && rules.dropout.is_some())?,
                factor: room(hidden && rules.dropout.is_some())?,
                z: room(normed)?,
                deviation: filled(place.len(), T::ZERO)?,
                syn,
                gamma: after(rules.weight_count()),
                beta: after(rules.weight_count() + norms),
                mean: after(0),
                variance: after(norms),
            });
        }
        let descents = filled(rules.parameter_count(), T::ZERO)?;
        let mut network = Network {
            rules,
            state: State::new(rules)?,
            layers,
            descents,
            rows: rules.samples,
        };
        network.state.read(state);
        Ok(network)
    }

    pub fn resize(&mut self, rows: usize) {
        if self.rows != rows {
            self.rows = rows;
            self.layers.iter_mut().for_each(|layer| layer.resize(rows));
        }
    }
}

/// Rows of the data.
#[derive(Clone, Copy)]
pub struct Batch<'a, T> {
    pub rows: usize,
    pub X: &'a [T],
    pub y: &'a [T],
}

impl<'a, T: Real> Batch<'a, T> {
    /// All `rows` samples.
    pub fn part(&self, rows: Range<usize>) -> Batch<'a, T> {
        let (inputs, outputs) = (self.X.len() / self.rows, self.y.len() / self.rows);
        Batch {
            rows: rows.len(),
            X: &self.X[rows.start * inputs..rows.end * inputs],
            y: &self.y[rows.start * outputs..rows.end * outputs],
        }
    }
}

/// Chooses the batches.
pub struct Data<'a, T> {
    rules: &'a Rules<T>,
    pub all: Batch<'a, T>,
    /// With shuffling: the order of the samples, the epoch that it is of, and in that order the
    /// rows of a batch.
    order: Vec<usize>,
    epoch: Option<u64>,
    X: Vec<T>,
    y: Vec<T>,
}

impl<'a, T: Real> Data<'a, T> {
    pub fn new(rules: &'a Rules<T>, all: Batch<'a, T>) -> Result<Self, Failure> {
        let order = filled(if rules.shuffle { all.rows } else { 0 }, 0)?;
        let (mut X, mut y) = (Vec::new(), Vec::new());
        if rules.shuffle {
            X.try_reserve_exact(all.X.len())
                .map_err(|_| Failure::NoMemory)?;
            y.try_reserve_exact(all.y.len())
                .map_err(|_| Failure::NoMemory)?;
        }
        Ok(Data {
            rules,
            all,
            order,
            epoch: None,
            X,
            y,
        })
    }

    /// Batch `iteration` modulo the number of batches. The last may be smaller.
    pub fn batch(&mut self, iteration: u64) -> Batch<'_, T> {
        let most = match self.rules.batch_size {
            None => return self.all,
            Some(most) => most.min(self.all.rows),
        };
        let batches = ((self.all.rows - 1) / most + 1) as u64;
        let first = (iteration % batches) as usize * most;
        let rows = first..self.all.rows.min(first + most);
        if self.rules.shuffle {
            self.gather(iteration / batches, rows)
        } else {
            self.all.part(rows)
        }
    }

    /// The rows at these places of the epoch's order.
    fn gather(&mut self, epoch: u64, places: Range<usize>) -> Batch<'_, T> {
        if self.epoch != Some(epoch) {
            random::shuffle(&mut self.order, self.rules.philox_seed, epoch);
            self.epoch = Some(epoch);
        }
        self.X.clear();
        self.y.clear();
        for &sample in &self.order[places.clone()] {
            let row = self.all.part(sample..sample + 1);
            self.X.extend_from_slice(row.X);
            self.y.extend_from_slice(row.y);
        }
        Batch {
            rows: places.len(),
            X: &self.X,
            y: &self.y,
        }
    }
}
