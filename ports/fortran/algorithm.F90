! The algorithm: forward, backward, update, and what uses them.
!
! All matrices are the contract's, transposed: l(k) is units x samples, and syn(k) has a row for
! each unit of layer k + 1. So the article's l0 @ syn0 is matmul(syn, l).
#include "dtype.inc"
module MODULE(algorithm)
  use, intrinsic :: iso_c_binding, only: wp => REAL_KIND
  use random, only: mt19937, mt_number, open_mt19937
  use settings
  use MODULE(layers)
  use MODULE(network)
  use MODULE(optimise)
  implicit none
  private
  public :: initial, predict, step, train

  ! Instead of the number of an update.
  integer(i64), parameter :: inference = -1

contains

  ! The matrices come as arguments: Fortran's rules say that these do not overlap if one of them
  ! changes, and so the product can be written right to where it belongs.

  ! [forward]
  ! x = syn l, and from the bias unit, if there is one, its weights.
  pure subroutine times(syn, bias, l, x)
    real(wp), contiguous, intent(in) :: syn(:, :), bias(:), l(:, :)
    real(wp), contiguous, intent(out) :: x(:, :)
    integer :: i
    x = matmul(syn, l)
    if (size(bias) == 0) return
    do i = 1, size(x, 2)
      x(:, i) = x(:, i) + bias
    end do
  end subroutine
  ! [/forward]

  ! [hidden-delta]
  ! The bias unit's weights are not in syn: no error goes there.
  pure subroutine transposed_times(syn, delta, error)
    real(wp), contiguous, intent(in) :: syn(:, :), delta(:, :)
    real(wp), contiguous, intent(out) :: error(:, :)
    error = matmul(transpose(syn), delta)
  end subroutine
  ! [/hidden-delta]

  ! [update]
  pure subroutine descend(l, delta, syn_descent, bias_descent)
    real(wp), contiguous, intent(in) :: l(:, :), delta(:, :)
    real(wp), contiguous, intent(out) :: syn_descent(:, :), bias_descent(:)
    syn_descent = matmul(delta, transpose(l))
    if (size(bias_descent) > 0) bias_descent = sum(delta, dim=2)
  end subroutine
  ! [/update]

  subroutine forward(net, iteration)
    type(network), intent(inout) :: net
    integer(i64), intent(in) :: iteration
    integer(i64) :: k
    logical :: hidden
    ! [forward]
    do k = 0, net%n%last - 1
      hidden = k + 1 < net%n%last
      associate (s => net%s, this => net%layer(k), next => net%layer(k + 1))
        call times(this%syn, this%bias, this%l, next%l)
        if (hidden .and. s%batch_norm /= 0) then
          if (iteration == inference) then
            call normalise_for_inference(real(s%norm_epsilon, wp), next%gamma, next%beta, &
                                         next%mean, next%variance, next%l)
          else
            call normalise(real(s%norm_epsilon, wp), real(s%norm_rate, wp), next%gamma, &
                           next%beta, next%l, next%mean, next%variance, next%z, next%deviation)
          end if
        end if
        call activate(merge(s%activation, s%output, hidden), next%l)
        if (hidden .and. s%dropout > 0 .and. iteration /= inference) &
          call drop_out(s, k + 1, iteration, next%l, next%active, next%factor)
      end associate
    end do
    ! [/forward]
  end subroutine

  ! error(K) = y - l(K), error(k) = syn(k)^T delta(k+1), delta(k) = error(k) slope(l(k)), and then
  ! back through everything else between weighted inputs and output.
  subroutine backward(net)
    type(network), intent(inout) :: net
    integer(i64) :: k
    logical :: hidden
    ! [hidden-delta]
    do k = net%n%last, 1, -1
      hidden = k < net%n%last
      associate (s => net%s, this => net%layer(k))
        ! [output-delta]
        if (hidden) then
          call transposed_times(this%syn, net%layer(k + 1)%delta, this%error)
        else
          this%error = net%y - this%l
        end if

        if (.not. hidden .and. s%loss == backprop_cross_entropy) then
          this%delta = this%error ! the loss's slope and the activation's cancel each other
        else if (hidden .and. s%dropout > 0) then
          call apply_slope(s%activation, this%error, this%active, this%delta)
          this%delta = this%delta*this%factor
        else
          call apply_slope(merge(s%activation, s%output, hidden), this%error, this%l, this%delta)
        end if
        ! [/output-delta]
        if (hidden .and. s%batch_norm /= 0) &
          call normalise_back(this%gamma, this%z, this%deviation, this%delta, &
                              this%gamma_descent, this%beta_descent)
        if (s%trim_value > 0) &
          this%delta = max(min(this%delta, real(s%trim_value, wp)), -real(s%trim_value, wp))
      end associate
    end do
    ! [/hidden-delta]
  end subroutine

  subroutine update(net, iteration)
    type(network), intent(inout) :: net
    integer(i64), intent(in) :: iteration
    integer(i64) :: k
    ! [update]
    do k = 0, net%n%last - 1
      associate (this => net%layer(k))
        call descend(this%l, net%layer(k + 1)%delta, this%syn_descent, this%bias_descent)
      end associate
    end do
    if (net%s%trim_norm > 0) call shrink(real(net%s%trim_norm, wp), net%descents)
    if (net%s%l1 > 0 .or. net%s%l2 > 0) then
      do k = 0, net%n%last - 1
        call decay(net%s, net%layer(k)%syn, net%layer(k)%syn_descent)
      end do
    end if
    call move(net%s, iteration, net%descents, net%parameters, net%memory)
    ! [/update]
  end subroutine

  ! One update. No weight changes before backward has used all the old ones.
  subroutine iterate(net, iteration)
    type(network), intent(inout) :: net
    integer(i64), intent(in) :: iteration
    call use_batch(net, iteration)
    call forward(net, iteration)
    call backward(net)
    call update(net, iteration)
  end subroutine

  ! Afterwards, the last layer's l are the outputs for all samples.
  subroutine infer(net)
    type(network), intent(inout) :: net
    call use_all(net)
    call forward(net, inference)
  end subroutine

  ! The state and the error at each checkpoint.
  subroutine train(s, X, y, state, checkpoints, state_out, error_out, status)
    type(backprop_settings), intent(in) :: s
    real(wp), pointer, contiguous, intent(in) :: X(:), y(:)
    real(wp), contiguous, intent(in) :: state(:)
    integer(i64), intent(in) :: checkpoints(:)
    real(wp), contiguous, intent(inout) :: state_out(:), error_out(:)
    integer, intent(out) :: status
    type(network), target :: net
    real(wp), allocatable, target :: now(:), l(:), error(:), delta(:)
    type(counts) :: n
    integer(i64) :: c, iteration
    n = count_numbers(s, layer_sizes(s))
    allocate (now(n%state), l(s%samples*n%units), error(s%samples*n%units), &
              delta(s%samples*n%units), stat=status)
    if (status /= 0) then
      status = backprop_no_memory
      return
    end if
    call open_network(net, s, X, y, now, l, error, delta, status)
    if (status /= backprop_ok) return
    now = state
    ! [checkpoint]
    iteration = 0
    do c = 1, size(checkpoints)
      do iteration = iteration, checkpoints(c) - 1
        call iterate(net, iteration)
      end do
      call infer(net)
      associate (output => net%layer(n%last)%l)
        error_out(c) = sum(abs(net%y - output))/size(output)
      end associate
      state_out((c - 1)*n%state + 1:c*n%state) = now
    end do
    ! [/checkpoint]
  end subroutine

  ! One update, with every intermediate right in the caller's memory.
  subroutine step(s, X, y, state, l, error, delta, state_out, status)
    type(backprop_settings), intent(in) :: s
    real(wp), pointer, contiguous, intent(in) :: X(:), y(:), l(:), error(:), delta(:)
    real(wp), contiguous, intent(in) :: state(:)
    real(wp), pointer, contiguous, intent(in) :: state_out(:)
    integer, intent(out) :: status
    type(network), target :: net
    call open_network(net, s, X, y, state_out, l, error, delta, status)
    if (status /= backprop_ok) return
    state_out = state
    call iterate(net, s%iteration)
  end subroutine

  ! Inference changes no state. Nothing goes back: there is no y, and no errors and deltas
  ! are needed.
  subroutine predict(s, X, state, output, status)
    type(backprop_settings), intent(in) :: s
    real(wp), pointer, contiguous, intent(in) :: X(:), state(:)
    real(wp), contiguous, intent(inout) :: output(:)
    integer, intent(out) :: status
    type(network), target :: net
    real(wp), pointer, contiguous :: no_y(:)
    real(wp), allocatable, target :: l(:)
    type(counts) :: n
    no_y => null()
    n = count_numbers(s, layer_sizes(s))
    allocate (l(s%samples*n%units), stat=status)
    if (status == 0) call open_network(net, s, X, no_y, state, l, l, l, status)
    if (status /= backprop_ok) then
      status = backprop_no_memory
      return
    end if
    call infer(net)
    output = reshape(net%layer(n%last)%l, [size(output)])
  end subroutine

  ! The state that a run starts from, with weights drawn from a seed; those from bias units are 0.
  subroutine initial(s, numpy_seed, state)
    type(backprop_settings), intent(in) :: s
    integer(i64), intent(in) :: numpy_seed
    real(wp), contiguous, intent(out) :: state(:)
    type(mt19937) :: generator
    type(counts) :: n
    integer(i64), pointer :: layers(:)
    integer(i64) :: k, i, at
    layers => layer_sizes(s)
    n = count_numbers(s, layers)
    generator = open_mt19937(numpy_seed)
    state = 0
    at = 0
    do k = 0, n%last - 1
      do i = 1, layers(k)*layers(k + 1)
        state(at + i) = real(2*mt_number(generator) - 1, wp)
      end do
      at = at + (layers(k) + s%bias)*layers(k + 1)
    end do
    state(n%weights + 1:n%weights + n%normal) = 1 ! gamma
    state(n%state - n%normal + 1:) = 1            ! the running variances
  end subroutine

end module
