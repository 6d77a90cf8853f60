! The network that algorithm.F90 works on: flat buffers as matrices, and its batch.
!
! Fortran stores a matrix column after column, and C row after row. So what is samples x units in
! the contract is units x samples here, in the same memory: every matrix is the transpose of the
! contract's, and nothing is copied.
#include "dtype.inc"
module MODULE(network)
  use, intrinsic :: iso_c_binding, only: wp => REAL_KIND
  use random, only: shuffle
  use settings
  implicit none
  private
  public :: open_network, use_all, use_batch

  ! What a pass computes of layer k, units x rows of the batch, and the weights from here to layer
  ! k + 1, with n_{k+1} x n_k numbers. What the settings do not ask for is not associated.
  type, public :: layer
    real(wp), pointer, contiguous :: l(:, :), error(:, :), delta(:, :)
    real(wp), pointer, contiguous :: syn(:, :), syn_descent(:, :)
    real(wp), pointer, contiguous :: bias(:), bias_descent(:) ! the weights from the bias unit
    ! With dropout: the activation's output, of which l is the kept part, and 0 or the factor
    ! of a unit that was kept.
    real(wp), pointer, contiguous :: active(:, :), factor(:, :)
    ! With batch normalisation; z are the weighted inputs, normalised.
    real(wp), pointer, contiguous :: z(:, :), deviation(:), gamma(:), beta(:)
    real(wp), pointer, contiguous :: gamma_descent(:), beta_descent(:), mean(:), variance(:)
  end type

  type, public :: network
    type(backprop_settings) :: s
    type(counts) :: n
    integer(i64), pointer :: units(:)        ! of layer 0, 1, ...
    type(layer), allocatable :: layer(:)     ! 0, 1, ...; layer(0) has only l, and its weights
    integer(i64) :: rows = 0                 ! of the batch
    real(wp), pointer, contiguous :: y(:, :) ! of the batch, outputs x rows; its X is layer(0)%l
    ! Of the state: what descents are added to, what the optimiser keeps, and running averages.
    real(wp), pointer, contiguous :: parameters(:), memory(:), averages(:)
    real(wp), allocatable :: descents(:)     ! of all parameters

    ! The data, which may have no y, and memory for all layers one after another.
    real(wp), pointer, contiguous, private :: all_X(:, :), all_y(:, :) => null()
    real(wp), pointer, contiguous, private :: l(:), error(:), delta(:)
    real(wp), allocatable, private :: active(:), factor(:), z(:), deviation(:)
    ! With shuffling: the order of the samples in an epoch, and the batch's in that order.
    integer(i64), allocatable, private :: order(:)
    integer(i64), private :: epoch = -1
    real(wp), allocatable, private :: batch_X(:, :), batch_y(:, :)
  end type

contains

  ! A network of this state, which it changes. It computes into l, error and delta, which have room
  ! for each batch. use_batch or use_all make it usable. All memory is taken here.
  subroutine open_network(net, s, X, y, state, l, error, delta, status)
    type(network), target, intent(inout) :: net
    type(backprop_settings), intent(in) :: s
    real(wp), pointer, contiguous, intent(in) :: X(:), y(:), state(:), l(:), error(:), delta(:)
    integer, intent(out) :: status
    integer(i64) :: dropped, normal, shuffled
    net%s = s
    net%units => layer_sizes(s)
    net%n = count_numbers(s, net%units)
    associate (n => net%n)
      net%all_X(1:n%inputs, 1:s%samples) => X
      if (associated(y)) net%all_y(1:n%outputs, 1:s%samples) => y
      net%parameters => state(:n%parameters)
      net%memory => state(n%parameters + 1:n%parameters + n%memory)
      net%averages => state(n%parameters + n%memory + 1:)
      net%l => l
      net%error => error
      net%delta => delta
      dropped = merge(s%samples*n%hidden, 0_i64, s%dropout > 0)
      normal = s%samples*n%normal
      shuffled = merge(s%samples, 0_i64, s%shuffle /= 0)
      allocate (net%layer(0:n%last), net%descents(n%parameters), net%active(dropped), &
                net%factor(dropped), net%z(normal), net%deviation(n%normal), net%order(shuffled), &
                net%batch_X(n%inputs, shuffled), net%batch_y(n%outputs, shuffled), stat=status)
    end associate
    status = merge(backprop_ok, backprop_no_memory, status == 0)
    if (status == backprop_ok) call lay_out_parameters(net)
  end subroutine

  subroutine lay_out_parameters(net)
    type(network), target, intent(inout) :: net
    integer(i64) :: k, i, j, weights, biases
    j = 0
    do k = 0, net%n%last - 1
      associate (this => net%layer(k), inputs => net%units(k), outputs => net%units(k + 1))
        weights = inputs*outputs
        biases = net%s%bias*outputs
        this%syn(1:outputs, 1:inputs) => net%parameters(j + 1:j + weights)
        this%bias => net%parameters(j + weights + 1:j + weights + biases)
        this%syn_descent(1:outputs, 1:inputs) => net%descents(j + 1:j + weights)
        this%bias_descent => net%descents(j + weights + 1:j + weights + biases)
        j = j + weights + biases
      end associate
    end do
    if (net%s%batch_norm == 0) return
    j = 0
    do k = 1, net%n%last - 1 ! units i to j of all normalised units belong to layer k
      i = j + 1
      j = j + net%units(k)
      associate (this => net%layer(k), n => net%n%normal, w => net%n%weights)
        this%gamma => net%parameters(w + i:w + j)
        this%beta => net%parameters(w + n + i:w + n + j)
        this%gamma_descent => net%descents(w + i:w + j)
        this%beta_descent => net%descents(w + n + i:w + n + j)
        this%mean => net%averages(i:j)
        this%variance => net%averages(n + i:n + j)
        this%deviation => net%deviation(i:j)
      end associate
    end do
  end subroutine

  ! Makes the matrices of each layer as wide as the batch.
  subroutine lay_out_layers(net, rows)
    type(network), target, intent(inout) :: net
    integer(i64), intent(in) :: rows
    integer(i64) :: k, i, j
    net%rows = rows
    j = 0
    do k = 1, net%n%last
      i = j + 1
      j = j + net%units(k)*rows
      associate (this => net%layer(k), units => net%units(k), hidden => k < net%n%last)
        this%l(1:units, 1:rows) => net%l(i:j)
        this%error(1:units, 1:rows) => net%error(i:j)
        this%delta(1:units, 1:rows) => net%delta(i:j)
        if (hidden .and. net%s%dropout > 0) this%active(1:units, 1:rows) => net%active(i:j)
        if (hidden .and. net%s%dropout > 0) this%factor(1:units, 1:rows) => net%factor(i:j)
        if (hidden .and. net%s%batch_norm /= 0) this%z(1:units, 1:rows) => net%z(i:j)
      end associate
    end do
  end subroutine

  ! Makes all samples the batch.
  subroutine use_all(net)
    type(network), target, intent(inout) :: net
    if (net%rows /= net%s%samples) call lay_out_layers(net, net%s%samples)
    net%layer(0)%l => net%all_X
    net%y => net%all_y
  end subroutine

  ! Makes batch `iteration` modulo the number of batches the batch; the last may be smaller.
  subroutine use_batch(net, iteration)
    type(network), target, intent(inout) :: net
    integer(i64), intent(in) :: iteration
    integer(i64) :: batches, first, last, most
    if (net%s%batch_size == 0) then
      call use_all(net)
      return
    end if
    most = min(net%s%batch_size, net%s%samples)
    batches = (net%s%samples - 1)/most + 1
    first = mod(iteration, batches)*most + 1
    last = min(first + most - 1, net%s%samples)
    if (net%rows /= last - first + 1) call lay_out_layers(net, last - first + 1)
    if (net%s%shuffle /= 0) then
      call gather(net, iteration/batches, first)
    else
      net%layer(0)%l => net%all_X(:, first:last)
      net%y => net%all_y(:, first:last)
    end if
  end subroutine

  ! Makes the samples from this place of the epoch's order on the batch.
  subroutine gather(net, epoch, first)
    type(network), target, intent(inout) :: net
    integer(i64), intent(in) :: epoch, first
    integer(i64) :: i, sample
    if (net%epoch /= epoch) call shuffle(net%order, net%s%philox_seed, epoch)
    net%epoch = epoch
    do i = 1, net%rows
      sample = net%order(first + i - 1) + 1 ! there, samples count from 0
      net%batch_X(:, i) = net%all_X(:, sample)
      net%batch_y(:, i) = net%all_y(:, sample)
    end do
    net%layer(0)%l => net%batch_X(:, :net%rows)
    net%y => net%batch_y(:, :net%rows)
  end subroutine

end module
