//! From the descents of all parameters to a step: trimming, decay, momentum, Adam.

use crate::network::Network;
use crate::real::{sum, Real};
use crate::rules::Method;

/// From the descents of all parameters to the new state.
pub fn improve<T: Real>(net: &mut Network<T>, iteration: u64) {
    if let Some(most) = net.rules.trim_norm {
        shrink(&mut net.descents, most);
    }
    if net.rules.l1 != T::ZERO || net.rules.l2 != T::ZERO {
        decay(net);
    }
    let (alpha, parameters) = (net.rules.alpha, &mut net.state.parameters);
    let (descents, memory) = (&net.descents, &mut net.state.memory);
    match net.rules.method {
        Method::Plain => {
            // [update]
            for (w, &d) in parameters.iter_mut().zip(descents) {
                *w += alpha * d;
            }
            // [/update]
        }
        Method::Momentum { momentum, nesterov } => {
            for ((w, &d), v) in parameters.iter_mut().zip(descents).zip(memory) {
                *v = momentum * *v + d;
                // Nesterov's is what the velocity will be if the next descent is the same.
                *w += alpha * if nesterov { d + momentum * *v } else { *v };
            }
        }
        Method::Adam {
            beta1,
            beta2,
            epsilon,
        } => {
            // m and v are averages of descents and of their squares, which began at 0.
            let t = T::of((iteration + 1) as f64);
            let (first, second) = (T::ONE - beta1.powf(t), T::ONE - beta2.powf(t));
            let (m, v) = memory.split_at_mut(parameters.len());
            for (((w, &d), m), v) in parameters.iter_mut().zip(descents).zip(m).zip(v) {
                *m = beta1 * *m + (T::ONE - beta1) * d;
                *v = beta2 * *v + (T::ONE - beta2) * (d * d);
                *w += alpha * (*m / first / ((*v / second).sqrt() + epsilon));
            }
        }
    }
}

/// Scales all descents, so that the root of the sum of their squares is at most `most`.
fn shrink<T: Real>(descents: &mut [T], most: T) {
    let norm = sum(descents.iter().map(|&d| d * d)).sqrt();
    if norm > most {
        descents.iter_mut().for_each(|d| *d *= most / norm);
    }
}

/// The descent of syn[k] -= l2 syn[k] + l1 sign(syn[k]), without the bias unit's row.
fn decay<T: Real>(net: &mut Network<T>) {
    let (l1, l2) = (net.rules.l1, net.rules.l2);
    for pair in net.layers.windows(2) {
        let count = pair[0].units * pair[1].units;
        let syn = &net.state.parameters[pair[0].syn.clone()][..count];
        let descent = &mut net.descents[pair[0].syn.clone()][..count];
        for (d, &w) in descent.iter_mut().zip(syn) {
            *d -= l2 * w + l1 * sign(w);
        }
    }
}

/// signum() of the standard library is 1 for 0.
fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        T::ZERO
    }
}
