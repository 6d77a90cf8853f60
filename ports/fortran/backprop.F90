! Backpropagation in Fortran, behind the contract of conformance/contract/backprop.h.
!
! This file has the exported functions. algorithm.F90 has the algorithm, layers.F90 what a layer
! does besides the matrix product, optimise.F90 what is done with a descent, network.F90 the
! matrices, settings.f90 the settings, random.f90 the generators, dtype.inc the dtype.
!
! From C come addresses without a size: X(*). Sizes follow from the settings.
#include "dtype.inc"
module MODULE(backprop)
  use, intrinsic :: iso_c_binding, only: c_int, c_int64_t, wp => REAL_KIND
  use settings
  use MODULE(algorithm)
  implicit none
  private
  public :: backprop_initial, backprop_predict, backprop_step, backprop_train

contains

  integer(c_int) function backprop_train(s, X, y, state, checkpoint_count, checkpoints, &
                                         state_out, error_out) &
    result(status) bind(c, name="backprop_train_" // SUFFIX)
    type(backprop_settings), intent(in) :: s
    real(wp), target, intent(in) :: X(*), y(*)
    real(wp), intent(in) :: state(*)
    integer(c_int64_t), value :: checkpoint_count
    integer(c_int64_t), intent(in) :: checkpoints(checkpoint_count)
    real(wp), intent(inout) :: state_out(*), error_out(*)
    type(counts) :: n
    integer(i64) :: i, from
    status = backprop_failed
    if (.not. valid_run(s, checkpoint_count, checkpoints)) return
    n = count_numbers(s, layer_sizes(s))
    ! Each network of an ensemble is trained as if it were alone.
    do i = 0, max(s%networks, 1_i64) - 1
      from = i*checkpoint_count
      call train(s, X(:s%samples*n%inputs), y(:s%samples*n%outputs), &
                 state(i*n%state + 1:(i + 1)*n%state), checkpoints, &
                 state_out(from*n%state + 1:(from + checkpoint_count)*n%state), &
                 error_out(from + 1:from + checkpoint_count), status)
      if (status /= backprop_ok) return
    end do
  end function

  integer(c_int) function backprop_step(s, X, y, state, l, error, delta, state_out) &
    result(status) bind(c, name="backprop_step_" // SUFFIX)
    type(backprop_settings), intent(in) :: s
    real(wp), target, intent(in) :: X(*), y(*)
    real(wp), intent(in) :: state(*)
    real(wp), target, intent(inout) :: l(*), error(*), delta(*), state_out(*)
    type(counts) :: n
    integer(i64) :: numbers
    status = backprop_failed
    if (.not. valid(s, 1_i64)) return
    n = count_numbers(s, layer_sizes(s))
    numbers = s%samples*n%units
    call step(s, X(:s%samples*n%inputs), y(:s%samples*n%outputs), state(:n%state), &
              l(:numbers), error(:numbers), delta(:numbers), state_out(:n%state), status)
  end function

  integer(c_int) function backprop_predict(s, X, state, output) &
    result(status) bind(c, name="backprop_predict_" // SUFFIX)
    type(backprop_settings), intent(in) :: s
    real(wp), target, intent(in) :: X(*), state(*)
    real(wp), intent(inout) :: output(*)
    type(counts) :: n
    status = backprop_failed
    if (.not. valid(s, 1_i64)) return
    n = count_numbers(s, layer_sizes(s))
    call predict(s, X(:s%samples*n%inputs), state(:n%state), output(:s%samples*n%outputs), status)
  end function

  integer(c_int) function backprop_initial(s, numpy_seed, state_out) &
    result(status) bind(c, name="backprop_initial_" // SUFFIX)
    type(backprop_settings), intent(in) :: s
    integer(c_int64_t), value :: numpy_seed
    real(wp), intent(inout) :: state_out(*)
    type(counts) :: n
    status = backprop_failed
    if (.not. valid(s, 0_i64)) return
    n = count_numbers(s, layer_sizes(s))
    call initial(s, numpy_seed, state_out(:n%state))
    status = backprop_ok
  end function

end module
