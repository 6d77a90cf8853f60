//! The functions of conformance/contract/backprop.h: from C's pointers to slices and `Rules`, if a request
//! is valid, and from a `Result`, or a panic, to a status.
//!
//! This file has all unsafe code of the port, which relies only on this: pointers are as backprop.h
//! says. Buffers are valid for the call, of the type and length given there, aligned as C's arrays
//! are, and hold numbers. None that is written overlaps with another. Nothing keeps a pointer: no
//! slice outlives the call that made it.

use crate::network::Batch;
use crate::real::Real;
use crate::rules::{Failure, Rules};
use crate::settings::{rise, Settings};
use crate::{initial, predict, step, train_all};
use std::os::raw::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice::{from_raw_parts, from_raw_parts_mut};

const OK: c_int = 0;
const NO_MEMORY: c_int = 3;
const FAILED: c_int = 4;

/// No panic may unwind into C.
fn status(run: impl FnOnce() -> Result<(), Failure>) -> c_int {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => OK,
        Ok(Err(Failure::NoMemory)) => NO_MEMORY,
        Ok(Err(Failure::Invalid)) | Err(_) => FAILED,
    }
}

fn demand(valid: bool) -> Result<(), Failure> {
    if valid {
        Ok(())
    } else {
        Err(Failure::Invalid)
    }
}

/// Settings that are valid, and their layers.
///
/// # Safety
/// The pointer, and the one in it, are as backprop.h says.
unsafe fn read<'a>(
    settings: *const Settings,
    least_samples: i64,
) -> Result<(&'a Settings, &'a [i64]), Failure> {
    let settings = &*settings;
    demand(settings.are_valid(least_samples))?;
    let layers = from_raw_parts(settings.layers, settings.layer_count as usize);
    demand(settings.allow_layers(layers))?;
    Ok((settings, layers))
}

/// # Safety
/// X and y are as backprop.h says, for these rules; None if there is no y.
unsafe fn data<'a, T: Real>(rules: &Rules<T>, X: *const T, y: Option<*const T>) -> Batch<'a, T> {
    let (rows, inputs, outputs) = (rules.samples, rules.layers[0], rules.layers[rules.last()]);
    let X = from_raw_parts(X, rows * inputs);
    let y = y.map_or(&[][..], |y| from_raw_parts(y, rows * outputs));
    Batch { rows, X, y }
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
                let (settings, layers) = read(settings, 1)?;
                demand(settings.allow_states(layers, checkpoint_count))?;
                let (networks, count) = (settings.networks.max(1), checkpoint_count);
                let (networks, count) = (networks as usize, count as usize);
                let checkpoints = from_raw_parts(checkpoints, count);
                demand(rise(checkpoints))?;
                let rules = settings.rules::<$real>(layers);
                let numbers = rules.state_count();
                train_all(
                    &rules,
                    data(&rules, X, Some(y)),
                    from_raw_parts(state, networks * numbers),
                    checkpoints,
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
                let (settings, layers) = read(settings, 1)?;
                let rules = settings.rules::<$real>(layers);
                let numbers = rules.state_count();
                let (all, state) = (data(&rules, X, Some(y)), from_raw_parts(state, numbers));
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
                let (settings, layers) = read(settings, 1)?;
                let rules = settings.rules::<$real>(layers);
                let count = rules.samples * rules.layers[rules.last()];
                let state = from_raw_parts(state, rules.state_count());
                predict(
                    &rules,
                    data(&rules, X, None),
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
                let (settings, layers) = read(settings, 0)?;
                let rules = settings.rules::<$real>(layers);
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
