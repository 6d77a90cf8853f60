//! The numbers that the rest is generic over: f64 and f32, with what the algorithm asks of them.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

pub trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    const ZERO: Self;
    const ONE: Self;
    /// Rounds to nearest.
    fn of(x: f64) -> Self;
    fn abs(self) -> Self;
    fn exp(self) -> Self;
    fn powf(self, y: Self) -> Self;
    fn sqrt(self) -> Self;
    fn tanh(self) -> Self;
}

macro_rules! real {
    ($type:ident) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn of(x: f64) -> Self {
                x as $type
            }
            fn abs(self) -> Self {
                $type::abs(self)
            }
            fn exp(self) -> Self {
                $type::exp(self)
            }
            fn powf(self, y: Self) -> Self {
                $type::powf(self, y)
            }
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            fn tanh(self) -> Self {
                $type::tanh(self)
            }
        }
    };
}

real!(f64);
real!(f32);

/// The sum in order, in the dtype.
pub fn sum<T: Real>(numbers: impl Iterator<Item = T>) -> T {
    numbers.fold(T::ZERO, |sum, x| sum + x)
}
