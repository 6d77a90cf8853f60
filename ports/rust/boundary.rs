//! The functions of conformance/backprop.h: from C's pointers to slices and `Rules`, and from
//! a `Result`, or a panic, to a status.
//!
//! All of the port that is unsafe is here, and it is only this: that pointers are as
//! backprop.h says. Buffers are valid for the call, of the type and length given there, aligned
//! as C's arrays are, and hold numbers. None that is written overlaps with another. Nothing keeps a
//! pointer: no slice outlives the call that made it.

use crate::network::Batch;
use crate::real::Real;
use crate::rules::{Activation, BatchNorm, Dropout, Failure, Method, Rules};
use crate::{initial, predict, step, train_all};
use std::os::raw::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice::{from_raw_parts, from_raw_parts_mut};

const OK: c_int = 0;
const UNSUPPORTED: c_int = 1;
const NO_MEMORY: c_int = 3;
const FAILED: c_int = 4;

/// As in backprop.h.
#[repr(C)]
pub struct Settings {
    layer_count: i64,
    layers: *const i64,
    samples: i64,
    alpha: f64,
    bias: i64,
    activation: i64,
    output: i64,
    loss: i64,
    batch_size: i64,
    iteration: i64,
    trim_value: f64,
    trim_norm: f64,
    l1: f64,
    l2: f64,
    momentum: f64,
    nesterov: i64,
    shuffle: i64,
    dropout: f64,
    philox_seed: i64,
    batch_norm: i64,
    norm_epsilon: f64,
    norm_rate: f64,
    adam: i64,
    beta1: f64,
    beta2: f64,
    adam_epsilon: f64,
    networks: i64,
}

fn positive(x: i64) -> Result<usize, Failure> {
    usize::try_from(x)
        .ok()
        .filter(|&x| x > 0)
        .ok_or(Failure::Unsupported)
}

fn activation(number: i64) -> Result<Activation, Failure> {
    match number {
        0 => Ok(Activation::Sigmoid),
        1 => Ok(Activation::Tanh),
        2 => Ok(Activation::Relu),
        3 => Ok(Activation::Softmax),
        _ => Err(Failure::Unsupported),
    }
}

impl Settings {
    /// `layers` is what the pointer of that name points to.
    fn rules<T: Real>(&self, layers: &[i64]) -> Result<Rules<T>, Failure> {
        let some = |x: f64| if x != 0.0 { Some(T::of(x)) } else { None };
        let rules = Rules {
            layers: layers
                .iter()
                .map(|&units| positive(units))
                .collect::<Result<_, _>>()?,
            // 0 for initial weights, which need no data.
            samples: usize::try_from(self.samples).map_err(|_| Failure::Unsupported)?,
            alpha: T::of(self.alpha),
            bias: self.bias != 0,
            activation: activation(self.activation)?,
            output: activation(self.output)?,
            cross_entropy: match self.loss {
                0 => false,
                1 => true,
                _ => return Err(Failure::Unsupported),
            },
            batch_size: if self.batch_size > 0 {
                Some(positive(self.batch_size)?)
            } else {
                None
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
        };
        // Its slope alone is not a number for each unit.
        let softmax_fits = rules.activation != Activation::Softmax
            && (rules.output != Activation::Softmax || rules.cross_entropy);
        if softmax_fits {
            Ok(rules)
        } else {
            Err(Failure::Unsupported)
        }
    }
}

/// No panic may unwind into C.
fn status(run: impl FnOnce() -> Result<(), Failure>) -> c_int {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => OK,
        Ok(Err(Failure::Unsupported)) => UNSUPPORTED,
        Ok(Err(Failure::NoMemory)) => NO_MEMORY,
        Err(_) => FAILED,
    }
}

/// The settings as they came, and as rules.
///
/// # Safety
/// The pointer, and the one in it, are as backprop.h says.
unsafe fn read<'a, T: Real>(
    settings: *const Settings,
) -> Result<(&'a Settings, Rules<T>), Failure> {
    let settings = &*settings;
    let layers = from_raw_parts(settings.layers, positive(settings.layer_count - 1)? + 1);
    Ok((settings, settings.rules(layers)?))
}

/// # Safety
/// X and y are as backprop.h says, for these rules; None if there is no y.
unsafe fn data<'a, T: Real>(
    rules: &Rules<T>,
    X: *const T,
    y: Option<*const T>,
) -> Result<Batch<'a, T>, Failure> {
    let (rows, inputs, outputs) = (rules.samples, rules.layers[0], rules.layers[rules.last()]);
    if rows == 0 {
        return Err(Failure::Unsupported);
    }
    let X = from_raw_parts(X, rows * inputs);
    let y = y.map_or(&[][..], |y| from_raw_parts(y, rows * outputs));
    Ok(Batch { rows, X, y })
}

/// Writes one after the other to where a pointer points.
///
/// # Safety
/// There is room for all of them.
unsafe fn write_all<'a, T: Real + 'a>(to: *mut T, parts: impl Iterator<Item = &'a Vec<T>>) {
    let mut written = 0;
    for part in parts {
        from_raw_parts_mut(to.add(written), part.len()).copy_from_slice(part);
        written += part.len();
    }
}

/// The functions for one type of numbers. The bodies are safe if the pointers are as backprop.h
/// says: each slice has the length that is given there.
macro_rules! export {
    ($real:ty, $train:ident, $step:ident, $predict:ident, $initial:ident) => {
        /// # Safety
        /// All pointers are as backprop.h says.
        #[no_mangle]
        pub unsafe extern "C" fn $train(
            settings: *const Settings,
            X: *const $real,
            y: *const $real,
            state: *const $real,
            checkpoint_count: i64,
            checkpoints: *const i64,
            state_out: *mut $real,
            error_out: *mut $real,
        ) -> c_int {
            status(|| {
                let (settings, rules) = read::<$real>(settings)?;
                let networks = settings.networks.max(1) as usize;
                let (numbers, count) = (rules.state_count(), positive(checkpoint_count)?);
                train_all(
                    &rules,
                    data(&rules, X, Some(y))?,
                    from_raw_parts(state, networks * numbers),
                    from_raw_parts(checkpoints, count),
                    from_raw_parts_mut(state_out, networks * count * numbers),
                    from_raw_parts_mut(error_out, networks * count),
                )
            })
        }

        /// # Safety
        /// All pointers are as backprop.h says.
        #[no_mangle]
        pub unsafe extern "C" fn $step(
            settings: *const Settings,
            X: *const $real,
            y: *const $real,
            state: *const $real,
            l: *mut $real,
            error: *mut $real,
            delta: *mut $real,
            state_out: *mut $real,
        ) -> c_int {
            status(|| {
                let (settings, rules) = read::<$real>(settings)?;
                let numbers = rules.state_count();
                let (all, state) = (data(&rules, X, Some(y))?, from_raw_parts(state, numbers));
                let net = step(&rules, all, state, settings.iteration as u64)?;
                write_all(l, net.layers.iter().map(|layer| &layer.l));
                write_all(error, net.layers.iter().map(|layer| &layer.error));
                write_all(delta, net.layers.iter().map(|layer| &layer.delta));
                net.state.write(from_raw_parts_mut(state_out, numbers));
                Ok(())
            })
        }

        /// # Safety
        /// All pointers are as backprop.h says.
        #[no_mangle]
        pub unsafe extern "C" fn $predict(
            settings: *const Settings,
            X: *const $real,
            state: *const $real,
            output: *mut $real,
        ) -> c_int {
            status(|| {
                let (_, rules) = read::<$real>(settings)?;
                let count = rules.samples * rules.layers[rules.last()];
                let state = from_raw_parts(state, rules.state_count());
                predict(
                    &rules,
                    data(&rules, X, None)?,
                    state,
                    from_raw_parts_mut(output, count),
                )
            })
        }

        /// # Safety
        /// All pointers are as backprop.h says.
        #[no_mangle]
        pub unsafe extern "C" fn $initial(
            settings: *const Settings,
            numpy_seed: i64,
            state_out: *mut $real,
        ) -> c_int {
            status(|| {
                let (_, rules) = read::<$real>(settings)?;
                let state = initial(&rules, numpy_seed as u32)?;
                state.write(from_raw_parts_mut(state_out, rules.state_count()));
                Ok(())
            })
        }
    };
}

export!(
    f64,
    backprop_train_f64,
    backprop_step_f64,
    backprop_predict_f64,
    backprop_initial_f64
);
export!(
    f32,
    backprop_train_f32,
    backprop_step_f32,
    backprop_predict_f32,
    backprop_initial_f32
);
