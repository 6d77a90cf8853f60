! What a layer does besides the matrix product, each operation beside its derivative.
!
! All matrices here are units x rows: a column has one sample.
#include "dtype.inc"
module MODULE(layers)
  use, intrinsic :: iso_c_binding, only: c_double, wp => REAL_KIND
  use random, only: for_dropout, open_stream, philox_stream, word
  use settings
  implicit none
  private
  public :: activate, apply_slope, drop_out, normalise, normalise_back, normalise_for_inference

contains

  ! Turns weighted inputs into outputs.
  pure subroutine activate(activation, x)
    integer(i64), intent(in) :: activation
    real(wp), contiguous, intent(inout) :: x(:, :)
    integer :: i
    select case (activation)
    case (backprop_tanh)
      x = tanh(x)
    case (backprop_relu)
      x = max(x, 0.0_wp)
    case (backprop_softmax) ! without a sample's maximum, no exp can overflow
      do i = 1, size(x, 2)
        x(:, i) = exp(x(:, i) - maxval(x(:, i)))
        x(:, i) = x(:, i)/sum(x(:, i))
      end do
    case default
      ! [forward]
      x = 1/(1 + exp(-x))
      ! [/forward]
    end select
  end subroutine

  ! delta = error times the activation's derivative, from its output l.
  pure subroutine apply_slope(activation, error, l, delta)
    integer(i64), intent(in) :: activation
    real(wp), contiguous, intent(in) :: error(:, :), l(:, :)
    real(wp), contiguous, intent(out) :: delta(:, :)
    select case (activation)
    case (backprop_tanh)
      delta = error*(1 - l**2)
    case (backprop_relu)
      delta = merge(error, 0.0_wp, l > 0)
    case default
      ! [output-delta]
      ! [hidden-delta]
      delta = error*l*(1 - l)
      ! [/hidden-delta]
      ! [/output-delta]
    end select
  end subroutine

  ! x, the weighted inputs of a layer, get mean beta and deviation gamma; the running
  ! averages mean and variance take in one more batch. z and deviation are kept for
  ! backward.
  pure subroutine normalise(epsilon, rate, gamma, beta, x, mean, variance, z, deviation)
    real(wp), intent(in) :: epsilon, rate
    real(wp), contiguous, intent(in) :: gamma(:), beta(:)
    real(wp), contiguous, intent(inout) :: x(:, :), mean(:), variance(:)
    real(wp), contiguous, intent(out) :: z(:, :), deviation(:)
    integer :: i, rows
    rows = size(x, 2)
    deviation = sum(x, dim=2)/rows ! first has the batch's mean, then its variance
    mean = mean + rate*(deviation - mean)
    do i = 1, rows
      x(:, i) = x(:, i) - deviation
    end do
    deviation = sum(x**2, dim=2)/rows
    variance = variance + rate*(deviation - variance)
    deviation = sqrt(deviation + epsilon)
    do i = 1, rows
      z(:, i) = x(:, i)/deviation
      x(:, i) = gamma*z(:, i) + beta
    end do
  end subroutine

  ! The same with running averages instead of the batch's own.
  pure subroutine normalise_for_inference(epsilon, gamma, beta, mean, variance, x)
    real(wp), intent(in) :: epsilon
    real(wp), contiguous, intent(in) :: gamma(:), beta(:), mean(:), variance(:)
    real(wp), contiguous, intent(inout) :: x(:, :)
    integer :: i
    do i = 1, size(x, 2)
      x(:, i) = gamma*((x(:, i) - mean)/sqrt(variance + epsilon)) + beta
    end do
  end subroutine

  ! Back through normalise: delta, the error of its output, becomes that of x. Mean and
  ! deviation depend on every sample, and so each sample's error depends on all samples.
  pure subroutine normalise_back(gamma, z, deviation, delta, gamma_descent, beta_descent)
    real(wp), contiguous, intent(in) :: gamma(:), z(:, :), deviation(:)
    real(wp), contiguous, intent(inout) :: delta(:, :)
    real(wp), contiguous, intent(out) :: gamma_descent(:), beta_descent(:)
    integer :: i, rows
    rows = size(z, 2)
    gamma_descent = sum(delta*z, dim=2)
    beta_descent = sum(delta, dim=2)
    do i = 1, rows
      delta(:, i) = (gamma*delta(:, i) - gamma*beta_descent/rows &
                     - z(:, i)*(gamma*gamma_descent/rows))/deviation
    end do
  end subroutine

  ! Leaves units of layer k out at random, and scales the others to make up for them. The
  ! activation's output is kept in `active`, since the slope is taken from it.
  subroutine drop_out(s, k, iteration, l, active, factor)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: k, iteration
    real(wp), contiguous, intent(inout) :: l(:, :)
    real(wp), contiguous, intent(out) :: active(:, :), factor(:, :)
    type(philox_stream) :: stream
    real(c_double) :: least
    real(wp) :: scale
    integer(i64) :: i, m, units
    stream = open_stream(s%philox_seed, iteration, k, for_dropout)
    least = s%dropout*2.0_c_double**32
    scale = 1/(1 - real(s%dropout, wp))
    units = size(l, 1)
    do i = 0, size(l, 2) - 1 ! words follow each other as the numbers do in memory
      do m = 0, units - 1
        factor(m + 1, i + 1) = merge(scale, 0.0_wp, word(stream, i*units + m) >= least)
      end do
    end do
    active = l
    l = active*factor
  end subroutine

end module
